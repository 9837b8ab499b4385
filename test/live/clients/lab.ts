/**
 * What the client matrix runs against: a private I2P network, one gateway with several SOCKS listeners, and behind
 * routers of their own a web server with a git repository, a real sshd, and a witness that tells who it was called by.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { startInBackground } from '../../../scripts/lab/background.ts';
import { runCommand, waitUntil } from '../../../scripts/lab/command.ts';
import { generateKeys } from '../../../scripts/lab/destination-keys.ts';
import { createGateway, type Gateway } from '../../../scripts/lab/gateway.ts';
import { type I2pNetwork, startNetwork } from '../../../scripts/lab/i2p-network.ts';
import { startHelper } from '../../../scripts/lab/namespace-helper.ts';
import { runInside } from '../../../scripts/lab/namespaces.ts';
import { openSession, type SamSession } from '../../../scripts/lab/sam-client.ts';
import { PAGE_TEXT } from '../../../scripts/lab/web-server.ts';
import { parseDestination } from '../../../src/wire/i2p/destination.ts';

/** What a client must bring home, by whatever way. */
export const TEXT = PAGE_TEXT.trim();
/** The pair of all entries with credentials: i2pd takes 20 s for the session of each new one. */
export const CREDENTIALS = { user: 'ann', password: 'secret' };
const NAMED = 'mail';
const HTTP_PROXY = '127.0.0.1:9161';
const GATEWAY_ROUTER = 1;
const WITNESS_ROUTER = 2;
const WEB = { router: 3, host: 'web.i2p', port: 8080 };
const SSH = { router: 4, host: 'ssh.i2p', port: 2022 };
/** The slowest, a browser on a busy machine, takes 15 s; a client that had to wait for a new session some 30 s more. */
const CLIENT_MS = 90_000;
const SSHD_GRACE_MS = 2_000;
/** Between two tries of the witness to accept. */
const RETRY_MS = 200;

/** Answers the first bytes of each stream with the b32 of the one who opened it: 52 characters. */
export interface Witness {
  readonly host: string;
  /** Opens a stream to somebody. */
  call(host: string, signal: AbortSignal): Promise<Socket>;
}

export interface UnixProxies {
  readonly gateway: string;
  readonly isolated: string;
  readonly named: string;
}

export interface ClientLab {
  readonly gateway: Gateway;
  /** Its SOCKS port as the clients see it, inside the gateway's namespace. */
  readonly proxy: { readonly host: string; readonly port: number; readonly text: string };
  /** The one of its SOCKS ports that speaks HTTP CONNECT too. */
  readonly httpProxy: { readonly text: string };
  /** SOCKS listeners at unix sockets, which are the same in every namespace, by the identity of their clients. */
  readonly unixProxies: UnixProxies;
  /** The key file of the named identity. */
  readonly namedKey: string;
  readonly web: { readonly host: string; readonly b32: string; readonly repository: string };
  readonly ssh: { readonly host: string; readonly key: string; readonly knownHosts: string };
  readonly witness: Witness;
  /** For files of the clients; removed with the lab. */
  readonly directory: string;
  /** Runs a program next to the gateway; variables are set like `NAME=value`. */
  run(command: string, args: readonly string[], variables?: readonly string[]): Promise<string>;
  stop(): Promise<void>;
}

export async function startClientLab(signal: AbortSignal): Promise<ClientLab> {
  const keys = { web: generateKeys(), ssh: generateKeys() };
  const network = await startNetwork({
    signal,
    reservedKeys: 1,
    // One client after another would be refused if the only hop behind the router were lost.
    inboundLength: 0,
    services: [
      { name: 'web', keys: keys.web, ...WEB },
      { name: 'ssh', keys: keys.ssh, ...SSH },
    ],
    names: new Map([
      [WEB.host, keys.web.destination.base64],
      [SSH.host, keys.ssh.destination.base64],
    ]),
  });
  const undo: Undo = [() => network.stop()];
  const stop = async () => {
    for (const step of undo.splice(0).reverse()) await step();
  };
  try {
    const directory = join(network.directory, 'clients');
    await mkdir(directory);
    const gateway = await startGateway(network, undo, signal);
    const witness = await startWitness(network, undo, signal);
    const ssh = await startSsh(network, join(directory, 'ssh'), undo);
    await startWeb(network, join(directory, 'web'), undo);
    const [host = '', port = ''] = gateway.socks.split(':');
    return {
      gateway,
      proxy: { host, port: Number(port), text: gateway.socks },
      httpProxy: { text: HTTP_PROXY },
      unixProxies: unixProxiesOf(network),
      namedKey: namedKeyOf(network),
      web: {
        host: WEB.host,
        b32: `${keys.web.destination.b32}.b32.i2p`,
        repository: `http://${WEB.host}/repository.git`,
      },
      ssh: { host: SSH.host, ...ssh },
      witness,
      directory,
      run: (command, args, variables = []) =>
        runInside(gateway.namespace, 'env', [...variables, command, ...args], { signal, timeoutMs: CLIENT_MS }),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Connects to one of the unix listeners, from wherever the caller is. */
export function connectProxy(path: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ path });
    socket.once('error', reject);
    socket.once('connect', () => {
      socket.off('error', reject);
      socket.on('error', () => {}); // Whoever reads next sees the socket closed.
      resolve(socket);
    });
  });
}

type Undo = (() => Promise<unknown>)[];

async function startGateway(network: I2pNetwork, undo: Undo, signal: AbortSignal): Promise<Gateway> {
  const unix = unixProxiesOf(network);
  const gateway = await createGateway(network, {
    name: 'a',
    address: '198.18.101.1',
    router: GATEWAY_ROUTER,
    seenFrom: WITNESS_ROUTER,
    keys: network.reservedKeys(GATEWAY_ROUTER, 1),
    peers: [],
    moreConfig: [
      `[[socks]]\nlisten = "unix:${unix.gateway}"\nmode = "0600"`,
      `[[socks]]\nlisten = "unix:${unix.isolated}"\nmode = "0600"\nidentity = "isolated"`,
      `[[socks]]\nlisten = "unix:${unix.named}"\nmode = "0600"\nidentity = "${NAMED}"`,
      `[identities.${NAMED}]\nkey_file = "${namedKeyOf(network)}"`,
      `[[socks]]\nlisten = "${HTTP_PROXY}"\nhttp_connect = true`,
      '',
    ].join('\n'),
  });
  undo.push(() => gateway.remove());
  await gateway.start(signal);
  return gateway;
}

function unixProxiesOf({ directory }: I2pNetwork): UnixProxies {
  return {
    gateway: join(directory, 'socks.sock'),
    isolated: join(directory, 'isolated.sock'),
    named: join(directory, 'named.sock'),
  };
}

function namedKeyOf({ directory }: I2pNetwork): string {
  return join(directory, `${NAMED}.key`);
}

async function startWeb(network: I2pNetwork, folder: string, undo: Undo): Promise<void> {
  const work = join(folder, 'work');
  await mkdir(work, { recursive: true });
  await writeFile(join(work, 'hello.txt'), PAGE_TEXT);
  const git = (...args: string[]) => runCommand('env', [...GIT_ALONE, 'git', '-C', work, ...args]);
  await git('init', '--quiet', '--initial-branch=main');
  await git('add', 'hello.txt');
  await git('-c', 'user.name=lab', '-c', 'user.email=lab@example.org', 'commit', '--quiet', '--message=hello');
  const bare = join(folder, 'repository.git');
  await git('clone', '--quiet', '--bare', work, bare);
  // What a server needs that knows nothing of git.
  await git('--git-dir', bare, 'update-server-info');
  const helper = await startHelper(network.router(WEB.router).namespace);
  undo.push(() => helper.stop());
  await helper.perform({ kind: 'serve-web', host: '127.0.0.1', port: WEB.port, folder });
}

/** Git as if nobody had configured it. */
export const GIT_ALONE = ['GIT_CONFIG_NOSYSTEM=1', 'GIT_CONFIG_GLOBAL=/dev/null', 'GIT_TERMINAL_PROMPT=0'];

/** Debian's sshd with keys and settings of its own, which shows everybody with the right key the text. */
async function startSsh(network: I2pNetwork, directory: string, undo: Undo) {
  await mkdir(directory, { mode: 0o700 });
  // Where Debian's sshd locks up its unprivileged half. It belongs to the package, and its service makes it as well.
  await mkdir('/run/sshd', { recursive: true, mode: 0o755 });
  const hostKey = join(directory, 'host_key');
  const key = join(directory, 'key');
  const knownHosts = join(directory, 'known_hosts');
  for (const file of [hostKey, key]) await runCommand('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', file]);
  await writeFile(knownHosts, `${SSH.host} ${await readFile(`${hostKey}.pub`, 'utf8')}`);
  await writeFile(join(directory, 'text'), PAGE_TEXT);
  const settings = [
    `Port ${SSH.port}`,
    'ListenAddress 127.0.0.1',
    `HostKey ${hostKey}`,
    `AuthorizedKeysFile ${key}.pub`,
    `ForceCommand /bin/cat ${join(directory, 'text')}`,
    'PidFile none',
    'StrictModes no',
    'UsePAM no',
    'PasswordAuthentication no',
    'PermitRootLogin prohibit-password',
  ];
  await writeFile(join(directory, 'sshd_config'), `${settings.join('\n')}\n`);
  const program = await startInBackground({
    namespace: network.router(SSH.router).namespace,
    command: '/usr/sbin/sshd',
    args: ['-D', '-e', '-f', join(directory, 'sshd_config')],
    logFile: join(directory, 'log'),
  });
  undo.push(() => program.stop(SSHD_GRACE_MS));
  const inVain = () => (program.alive() ? undefined : `sshd has ended: ${program.said()}`);
  const listens = async () => (program.said().includes('Server listening') ? true : undefined);
  await waitUntil('sshd listens', listens, { timeoutMs: 10_000, inVain });
  return { key, knownHosts };
}

async function startWitness(network: I2pNetwork, undo: Undo, parent: AbortSignal): Promise<Witness> {
  const over = new AbortController();
  const signal = AbortSignal.any([parent, over.signal]);
  const open = (stop: AbortSignal) => network.openBridge(WITNESS_ROUTER, stop);
  const { base64, destination } = network.reservedKeys(WITNESS_ROUTER, 1);
  const session = await openSession(open, base64, signal);
  undo.push(async () => {
    over.abort();
    session.close();
  });
  void testify(session, signal);
  return { host: `${destination.b32}.b32.i2p`, call: (host, stop) => session.connect(host, stop) };
}

/** One stream after another: i2pd 2.45.1 mixes up those that come at once where several are awaited. Ends with the session. */
async function testify(session: SamSession, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    try {
      const { stream, from } = await session.acceptFrom(signal);
      // Only answers, and leaves the end to the other side: i2pd 2.45.1 may lose what is written just before an end.
      stream.once('data', () => stream.write(parseDestination(from).b32));
      stream.once('end', () => stream.destroy());
    } catch {
      // The stream or the session is gone; whoever waits for the testimony notices.
      await pause(RETRY_MS);
    }
  }
}
