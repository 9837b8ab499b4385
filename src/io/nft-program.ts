/** The program nft(8) of nftables: runs it with rules on its standard input, and says what it said. Knows no rules. */
import { spawn } from 'node:child_process';
import { type Clock, within } from '../kit/clock.ts';
import { abortError, GateError } from '../kit/errors.ts';
import { findProgram } from './processes.ts';

/** Runs nft. @throws GateError with its words when it fails */
export type Nft = (args: readonly string[], input?: string) => Promise<string>;

/** It answers in milliseconds; a ruleset of thousands of peers takes a second. */
const DEADLINE_MS = 20_000;
/** Of what it prints. Characters. */
const LONGEST_OUTPUT = 16 * 1024 * 1024;

/**
 * @param searchPath directories with colons between them
 * @returns undefined where there is no nft
 */
export async function findNft(searchPath: string, clock: Clock): Promise<Nft | undefined> {
  const program = await findProgram('nft', searchPath);
  if (program === undefined) return undefined;
  return (args, input = '') => {
    const late = new GateError('local-io', 'firewall.nft-late', 'nft did not end in time');
    return within(clock, DEADLINE_MS, late, undefined, (signal) => run(program, args, input, signal));
  };
}

function run(program: string, args: readonly string[], input: string, signal: AbortSignal): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LANG: 'C' },
      stdio: ['pipe', 'pipe', 'pipe'],
      // A session of its own: Ctrl-C at our terminal shall not keep it from taking the rules away.
      detached: true,
      signal,
      killSignal: 'SIGKILL',
    });
    let output = '';
    let complaint = '';
    const keep = (text: string, chunk: unknown) => (text.length < LONGEST_OUTPUT ? text + String(chunk) : text);
    child.stdout.on('data', (chunk) => {
      output = keep(output, chunk);
    });
    child.stderr.on('data', (chunk) => {
      complaint = keep(complaint, chunk);
    });
    // It may end before it has read everything; its exit code says why.
    child.stdin.on('error', () => {});
    child.stdin.end(input);
    child.on('error', (error) => reject(signal.aborted ? abortError(signal, 'running nft') : failure(error.message)));
    child.on('close', (code, killedBy) => {
      if (code === 0) resolve(output);
      else reject(failure(firstLine(complaint) ?? `it ended with ${code ?? killedBy}`));
    });
  });
}

function failure(why: string): GateError {
  const forbidden = /Operation not permitted/.test(why);
  const message = forbidden
    ? `nft may not change the packet filter (${why}). Run as root or with CAP_NET_ADMIN, or set [firewall] enabled = false ` +
      'if peers may reach everything that listens here'
    : `nft failed: ${why}; the kernel must have nftables with connection tracking`;
  return new GateError(forbidden ? 'permission' : 'local-io', 'firewall.nft', message);
}

/** Without the place in the text that we sent, which nobody can look up. */
function firstLine(text: string): string | undefined {
  const [line = ''] = text.trim().split('\n');
  const said = line.replace(/^\S*:\d+:\d+(-\d+)?: /, '').replaceAll(/[^\x20-\x7e]/g, '?');
  return said === '' ? undefined : said.slice(0, 200);
}
