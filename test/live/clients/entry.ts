/**
 * One way in which a program uses the SOCKS port, and what comes of it. The table in docs/socks.md has the same rows in
 * the same order, word for word (test/client-docs.test.ts), so what is promised there is what was tried.
 */
import type { ClientLab } from './lab.ts';

export type ClientEntry = {
  readonly client: string;
  /** The setting, as a person types it; `PROXY` stands for the host and port of the SOCKS port. */
  readonly way: string;
  readonly expected: Expectation;
  /**
   * Fetches the text of the lab by that client.
   *
   * @returns whatever the client showed
   * @throws Error with what it said when it failed
   */
  run(lab: ClientLab): Promise<string>;
};

export type Expectation =
  | { readonly kind: 'works' }
  | {
      readonly kind: 'refused';
      /** For the reader of the table. */
      readonly why: string;
      /** What the client says then. */
      readonly sign: RegExp;
      /** It handed over an address that it had from a name server, which is counted. */
      readonly dnsLeak?: true;
    };

export const WORKS: Expectation = { kind: 'works' };

/** The third column of the table. */
export function describeExpectation(expected: Expectation): string {
  return expected.kind === 'works' ? 'works' : `refused: ${expected.why}`;
}
