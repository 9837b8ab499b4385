/**
 * The Debian packages that the developer's commands need, each with its reason, and how they are installed: only as root,
 * only after saying so, and never so that a service of theirs starts. Knows nothing of npm or of the build.
 */
import { chmodSync, existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { collect, findProgram, isRoot, SetUpError } from './command.mjs';

/**
 * @typedef {object} DebianPackage
 * @property {string} why what it is needed for
 * @property {string} [program] it counts as installed when this program is there, however it came
 * @property {string} [file] the same with a file
 * @property {Service} [service] what it brings and must not run
 */

/**
 * @typedef {object} Service
 * @property {string} name
 * @property {string} what what would run
 */

/** @type {Readonly<Record<string, DebianPackage>>} */
const PACKAGES = {
  i2pd: {
    program: 'i2pd',
    service: { name: 'i2pd', what: 'a public I2P router' },
    why: 'the I2P router that a gateway runs as its own child, and that the lab and the live tests are made of',
  },
  iproute2: { program: 'ip', why: 'network namespaces for the lab and for the tests with a real TUN' },
  'iputils-ping': { program: 'ping', why: 'ping -6 through the tunnel, in the lab and in the tests' },
  strace: { program: 'strace', why: 'shows in test/net/silence.test.ts that no name ever reaches a resolver' },
  curl: { program: 'curl', why: 'downloads through TUN and SOCKS, in the lab and in the tests' },
  microsocks: { program: 'microsocks', why: 'the smallest SOCKS relay, which the measurements compare with' },
  'dante-server': {
    program: 'danted',
    service: { name: 'danted', what: 'a SOCKS proxy' },
    why: 'the fastest SOCKS relay with many processes, which the measurements compare with',
  },
  nftables: {
    program: 'nft',
    service: { name: 'nftables', what: 'loading of /etc/nftables.conf, which flushes all rules,' },
    why: 'the firewall: garligate loads the rules that keep peers from what they may not reach',
  },
  gcc: {
    program: 'cc',
    why: 'compiles native/, the part that opens the TUN interface, and has the sanitizers that it is fuzzed under',
  },
  'libc6-dev': { file: '/usr/include/stdio.h', why: 'the C headers for native/' },
  chromium: { program: 'chromium', why: 'a browser that loads a page through SOCKS, in test/live/clients.test.ts' },
  git: { program: 'git', why: 'a repository for test/live/clients.test.ts, and its clone through SOCKS' },
  'netcat-openbsd': { file: '/bin/nc.openbsd', why: 'the proxy command of ssh in test/live/clients.test.ts' },
  'openssh-client': { program: 'ssh', why: 'a shell on a host in I2P, in test/live/clients.test.ts' },
  'openssh-server': {
    program: 'sshd',
    service: { name: 'ssh', what: 'an SSH server that is open to the network' },
    why: 'that host: test/live/clients.test.ts runs an sshd of its own, with its own keys, in a namespace',
  },
  proxychains4: { program: 'proxychains4', why: 'a SOCKS client by LD_PRELOAD, in test/live/clients.test.ts' },
  'python3-socks': {
    file: '/usr/lib/python3/dist-packages/socks.py',
    why: "Python's SOCKS client, in test/live/clients.test.ts",
  },
  iperf3: {
    program: 'iperf3',
    service: { name: 'iperf3', what: 'a server that anybody can load' },
    why: 'loads for npm run bench -- tunnel and vpn, and the measured rate of a slow line in the lab',
  },
  libfaketime: { why: 'a wall clock that can be set for a gateway alone, in the tests and in the fault lab' },
  'wireguard-go': { program: 'wireguard-go', why: 'a VPN in user space that npm run bench -- tunnel compares with' },
  'wireguard-tools': { program: 'wg', why: 'its settings' },
  torsocks: { program: 'torsocks', why: "Tor's SOCKS client by LD_PRELOAD, in test/live/clients.test.ts" },
};

/** What `npm start` needs when it has to run a router of its own. */
export const ROUTER_PACKAGES = ['i2pd'];
/** What `npm start` needs to bring up the VPN behind its firewall. */
export const FIREWALL_PACKAGES = ['nftables'];
/** What the lab and the tests with real interfaces and real routers need. */
export const TEST_PACKAGES = [
  'i2pd',
  'iproute2',
  'iputils-ping',
  'curl',
  'nftables',
  'strace',
  'iperf3',
  'libfaketime',
];
/** The programs that test/live sends through SOCKS, and what they meet at the other end. */
export const CLIENT_PACKAGES = [
  'chromium',
  'git',
  'netcat-openbsd',
  'openssh-client',
  'openssh-server',
  'proxychains4',
  'python3-socks',
  'torsocks',
];
/** What `npm run bench` compares with. */
export const BENCH_PACKAGES = ['microsocks', 'dante-server', 'wireguard-go', 'wireguard-tools'];
/** What the native part needs to be compiled. */
export const COMPILER_PACKAGES = ['gcc', 'libc6-dev'];

const POLICY_FILE = '/usr/sbin/policy-rc.d';
const POLICY_MARK = '# Written for one installation by garligate; remove it if it is still here.';
/** Asked for by invoke-rc.d and deb-systemd-invoke: "action forbidden". */
const POLICY_FORBIDDEN = 101;
const LISTS_FOLDER = '/var/lib/apt/lists';
const LISTS_FRESH_MS = 7 * 24 * 60 * 60 * 1000;

/**
 * Those of the packages that are not there.
 * @param {readonly string[]} names
 * @returns {Promise<string[]>}
 */
export async function missingPackages(names) {
  const missing = [];
  for (const name of new Set(names)) if (!(await isInstalled(name))) missing.push(name);
  return missing;
}

/** @param {string} name */
async function isInstalled(name) {
  const { program, file } = PACKAGES[name] ?? {};
  if (program !== undefined) return findProgram(program) !== undefined;
  if (file !== undefined) return existsSync(file);
  const { output } = await collect('dpkg-query', ['--status', name]);
  return /^Status: install ok installed$/m.test(output);
}

/**
 * Installs packages; does nothing for an empty list.
 * @param {readonly string[]} names packages that are missing
 * @throws {SetUpError} when this cannot be done here, with what a person has to type
 */
export async function installPackages(names) {
  if (names.length === 0) return;
  const list = names
    .map((name) => `  ${name.padEnd(14)} ${PACKAGES[name]?.why ?? 'asked for by this command'}`)
    .join('\n');
  if (findProgram('apt-get') === undefined) {
    const message = `These programs are missing, and only apt-get is known here as a way to install them:\n${list}`;
    throw new SetUpError(`${message}\nPlease install them with this system's package manager and try again.`);
  }
  if (!isRoot()) {
    const lines = [
      `These Debian packages are missing, and only root can install them:\n${list}`,
      'Run the same command with sudo, or type:',
      `  sudo apt-get install --no-install-recommends ${names.join(' ')}`,
    ];
    for (const { name, what } of servicesOf(names)) {
      lines.push(`  sudo systemctl disable --now ${name}    # the package starts ${what}, which is not used here`);
    }
    throw new SetUpError(lines.join('\n'));
  }
  console.error(`Installing Debian packages:\n${list}`);
  await withoutStartingServices(servicesOf(names), () => aptInstall(names));
  for (const service of servicesOf(names)) await disableService(service);
}

/**
 * @param {readonly string[]} names
 * @returns {Service[]}
 */
function servicesOf(names) {
  return names.flatMap((name) => PACKAGES[name]?.service ?? []);
}

/** @param {readonly string[]} names */
async function aptInstall(names) {
  const install = () =>
    aptGet(['install', '--yes', '--no-install-recommends', '--option', 'Dpkg::Use-Pty=0', ...names]);
  const fresh = listsAreFresh();
  if (!fresh) await aptGet(['update']);
  let outcome = await install();
  if (!outcome.ok && fresh) {
    await aptGet(['update']);
    outcome = await install();
  }
  if (outcome.ok) return;
  const message = `apt-get could not install ${names.join(', ')} (it ended with ${outcome.code}); its words are above.`;
  throw new SetUpError(`${outcome.output.trimEnd()}\n\n${message}`);
}

/** @param {readonly string[]} args */
function aptGet(args) {
  return collect('apt-get', ['--quiet', '--option', 'DPkg::Lock::Timeout=300', ...args], {
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
  });
}

function listsAreFresh() {
  try {
    return readdirSync(LISTS_FOLDER)
      .filter((name) => name.includes('_Packages'))
      .some((name) => Date.now() - statSync(join(LISTS_FOLDER, name)).mtimeMs < LISTS_FRESH_MS);
  } catch {
    return false;
  }
}

/**
 * Keeps maintainer scripts from starting services while `work` runs: i2pd's would start a router in the public network.
 * @param {readonly Service[]} services
 * @param {() => Promise<void>} work
 */
async function withoutStartingServices(services, work) {
  if (existsSync(POLICY_FILE) && readFileSync(POLICY_FILE, 'utf8').includes(POLICY_MARK)) rmSync(POLICY_FILE);
  if (existsSync(POLICY_FILE)) {
    for (const service of services) await demandForbidden(service);
    return work();
  }
  // A terminal sends Ctrl-C to apt-get as well: it comes to an end, and the file is removed before this process is.
  let interrupted = false;
  const stay = () => {
    interrupted = true;
  };
  const remove = () => rmSync(POLICY_FILE, { force: true });
  process.on('SIGINT', stay).on('SIGTERM', stay).on('exit', remove);
  try {
    writeFileSync(POLICY_FILE, `#!/bin/sh\n${POLICY_MARK}\nexit ${POLICY_FORBIDDEN}\n`, { flag: 'wx' });
    chmodSync(POLICY_FILE, 0o755);
    await work();
  } finally {
    remove();
    process.off('SIGINT', stay).off('SIGTERM', stay).off('exit', remove);
  }
  if (interrupted) throw new SetUpError('Interrupted.');
}

/**
 * Somebody else's policy stays as it is, but must say no.
 * @param {Service} service
 */
async function demandForbidden({ name, what }) {
  const { code } = await collect(POLICY_FILE, [name, 'start']);
  if (code === POLICY_FORBIDDEN) return;
  throw new SetUpError(
    `${POLICY_FILE} of this machine allows the service ${name} to start (it answered ${code}), and its package would ` +
      `start ${what}.\nPlease install that package by hand, disable its service, and try again.`,
  );
}

/**
 * The package leaves its service enabled, so that it would start with the next boot.
 * @param {Service} service
 */
async function disableService({ name, what }) {
  const [program, args] = findProgram('systemctl')
    ? ['systemctl', ['disable', name]]
    : ['update-rc.d', [name, 'disable']];
  if (findProgram(program) === undefined) return;
  const { ok, output } = await collect(program, args);
  if (ok) console.error(`The service ${name} of that package is disabled: ${what} is not needed here.`);
  else console.error(`The service ${name} could not be disabled (${output.trim()}); it may start with the next boot.`);
}
