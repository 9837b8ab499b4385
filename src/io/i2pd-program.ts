/** The program i2pd as a child process: its arguments, its privileges, and what it says when it ends. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createServer } from 'node:net';
import { stripVTControlCharacters } from 'node:util';
import type { UserIds } from './processes.ts';

export interface I2pdStart {
  /** Path of i2pd. */
  readonly program: string;
  /** Path of util-linux's setpriv, where there is one. */
  readonly setpriv: string | undefined;
  /** Whom it runs as; ourselves when undefined. */
  readonly user: UserIds | undefined;
  readonly directory: string;
  /** Of the SAM bridge, on 127.0.0.1. */
  readonly port: number;
  readonly extraArguments: readonly string[];
}

const CERTIFICATES = '/usr/share/i2pd/certificates';
/** Of what i2pd prints, for the reason of an early end. Characters. */
const KEPT_OUTPUT = 4_096;

export function spawnI2pd(start: I2pdStart): ChildProcess {
  const { program, setpriv, user, directory, port, extraArguments } = start;
  const wanted = [program, ...i2pdArguments(port), ...extraArguments];
  // With setpriv the kernel ends i2pd when we die without a word, and it can never gain a privilege.
  const [command = program, ...rest] =
    setpriv === undefined
      ? wanted
      : [setpriv, '--pdeathsig', 'TERM', '--no-new-privs', ...NO_CAPABILITIES, '--', ...wanted];
  return spawn(command, rest, {
    ...user,
    // i2pd may not enter our state directory by itself; a working directory needs no way to it.
    cwd: directory,
    env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', HOME: directory, LANG: 'C' },
    stdio: ['ignore', 'pipe', 'pipe'],
    // A session of its own: Ctrl-C at our terminal means its long, graceful end to i2pd.
    detached: true,
  });
}

/** Also what we hold on behalf of the TUN: a router needs no capability. */
const NO_CAPABILITIES = ['--inh-caps=-all', '--ambient-caps=-all'];

/** Everything by argument: root writes no file into a directory that belongs to another user. */
function i2pdArguments(port: number): readonly string[] {
  const hasCertificates = existsSync(CERTIFICATES);
  return [
    '--datadir=.',
    '--conf=/dev/null',
    '--tunconf=/dev/null',
    '--tunnelsdir=no-tunnels.d',
    '--pidfile=i2pd.pid',
    '--log=stdout',
    '--loglevel=error',
    '--http.enabled=false',
    '--httpproxy.enabled=false',
    '--socksproxy.enabled=false',
    '--bob.enabled=false',
    '--i2cp.enabled=false',
    '--i2pcontrol.enabled=false',
    '--upnp.enabled=false',
    '--sam.enabled=true',
    '--sam.address=127.0.0.1',
    `--sam.port=${port}`,
    // i2pd looks for certificates in its data directory, and takes unsigned reseed data unless told otherwise.
    ...(hasCertificates ? [`--certsdir=${CERTIFICATES}`, '--reseed.verify=true'] : []),
  ];
}

/** Resolves with the reason when the program has ended and its output is read. */
export function endOf(child: ChildProcess): Promise<string> {
  let output = '';
  const keep = (chunk: unknown) => {
    output = (output + String(chunk)).slice(-KEPT_OUTPUT);
  };
  child.stdout?.on('data', keep);
  child.stderr?.on('data', keep);
  return new Promise((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('close', (code, signal) => {
      const how = signal === null ? `with code ${code}` : `by ${signal}`;
      const [last = ''] = output.trim().split('\n').slice(-1);
      resolve(last === '' ? `it ended ${how}` : `it ended ${how}: ${printable(last)}`);
    });
  });
}

/** Without colours and other control sequences. */
function printable(line: string): string {
  return stripVTControlCharacters(line)
    .replaceAll(/[^\x20-\x7e]/g, '?')
    .slice(0, 200);
}

/** Another program can take the port before i2pd does; then i2pd ends, and the next run tries another one. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', reject);
    probe.listen({ host: '127.0.0.1', port: 0 }, () => {
      const address = probe.address();
      probe.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
}
