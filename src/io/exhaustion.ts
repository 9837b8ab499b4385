/** The errors by which the kernel says that this machine, or what it grants us, is used up. */
import { GateError } from '../kit/errors.ts';

const EXHAUSTED = ['EMFILE', 'ENFILE', 'ENOBUFS', 'ENOMEM', 'EADDRNOTAVAIL'];

/** @returns a `limit` error, or undefined where the other side or the way to it is to blame */
export function exhaustionError(error: NodeJS.ErrnoException): GateError | undefined {
  if (error.code === undefined || !EXHAUSTED.includes(error.code)) return undefined;
  return new GateError(
    'limit',
    'system.exhausted',
    `this machine is out of files, ports or memory (${error.code}); raise LimitNOFILE or ulimit -n, or lower [limits]`,
    { facts: { errno: error.code }, cause: error },
  );
}
