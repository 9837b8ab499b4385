/**
 * `npm start`: sets up what is missing on this machine, then becomes the gateway (`bin/garligate run` with the arguments
 * given here). Decides only which parts are worth setting up; what the arguments mean is the gateway's business.
 */
import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { exitCodeOf, findProgram, isRoot, main, ROOT, SEARCH_PATH } from './lib/command.mjs';
import { COMPILER_PACKAGES, FIREWALL_PACKAGES, missingPackages, ROUTER_PACKAGES } from './lib/debian.mjs';
import { nativeIsBuilt, setUp } from './setup.mjs';

const DEFAULT_CONFIG = '/etc/garligate/garligate.toml';
const SAM_BRIDGE = { host: '127.0.0.1', port: 7656 };
const SAM_ANSWER_MS = 500;

/** npm moves to the checkout; paths in the arguments mean the folder where the person is. */
const workingFolder = process.env['INIT_CWD'] ?? process.cwd();

async function start() {
  const args = process.argv.slice(2);
  const socksOnly = await mustDoWithoutNative();
  await setUp({ native: !socksOnly });
  const config = await configOf(args);
  if (needsFirewall(args, config)) await setUp({ packages: FIREWALL_PACKAGES, native: false, dist: false });
  if (await needsOwnRouter(config)) await setUp({ packages: ROUTER_PACKAGES, native: false, dist: false });
  if (socksOnly && !args.includes('--socks-only')) args.push('--socks-only');
  return runGateway(args);
}

/** Without root no compiler can be installed, and no interface be made either. */
async function mustDoWithoutNative() {
  if (isRoot()) return false;
  const missing = await missingPackages(COMPILER_PACKAGES);
  if (missing.length === 0 || nativeIsBuilt()) return false;
  console.error(
    `No C compiler here (Debian packages ${missing.join(', ')}) and no root to install one: starting without the VPN, with ` +
      'SOCKS alone. For both, use sudo npm start.',
  );
  return true;
}

/** Whether this is a machine where packages can be installed for the gateway. */
function canInstall() {
  return isRoot() && findProgram('apt-get') !== undefined;
}

/**
 * Whether the gateway will look for an i2pd of its own, and one can be installed for it.
 * @param {Settings | undefined} config
 */
async function needsOwnRouter(config) {
  if (config === undefined || findProgram('i2pd') !== undefined || !canInstall()) return false;
  const sam = config['router']?.['sam'] ?? 'auto';
  return sam === 'managed' || (sam === 'auto' && !(await bridgeListens()));
}

/**
 * Whether the gateway will look for nftables, and it can be installed for it.
 * @param {readonly string[]} args
 * @param {Settings | undefined} config
 */
function needsFirewall(args, config) {
  if (config === undefined || args.includes('--socks-only') || findProgram('nft') !== undefined) return false;
  return canInstall() && config['vpn']?.['enabled'] !== false && config['firewall']?.['enabled'] !== false;
}

/**
 * The sections that matter here, unchecked.
 * @typedef {Readonly<Record<string, Readonly<Record<string, unknown>> | undefined>>} Settings
 */

/**
 * @param {readonly string[]} args
 * @returns {Promise<Settings | undefined>} nothing when the config cannot be read, which the gateway explains
 */
async function configOf(args) {
  const { parse } = await import('smol-toml');
  const file = configFileOf(args);
  if (file === undefined) return {};
  try {
    /** @type {Record<string, Readonly<Record<string, unknown>>>} */
    const sections = {};
    for (const [name, value] of Object.entries(parse(readFileSync(file, 'utf8')))) {
      if (typeof value === 'object' && !Array.isArray(value))
        sections[name] = Object.fromEntries(Object.entries(value));
    }
    return sections;
  } catch {
    return undefined;
  }
}

/** @param {readonly string[]} args */
function configFileOf(args) {
  const { values } = parseArgs({ args: [...args], options: { config: { type: 'string' } }, strict: false });
  const named = typeof values['config'] === 'string' ? values['config'] : process.env['GARLIGATE_CONFIG'];
  if (named) return resolve(workingFolder, named);
  return existsSync(DEFAULT_CONFIG) ? DEFAULT_CONFIG : undefined;
}

/** @returns {Promise<boolean>} */
function bridgeListens() {
  return new Promise((answer) => {
    const socket = connect(SAM_BRIDGE);
    /** @param {boolean} yes */
    const finish = (yes) => {
      socket.destroy();
      answer(yes);
    };
    socket.setTimeout(SAM_ANSWER_MS, () => finish(false));
    socket.on('connect', () => finish(true));
    socket.on('error', () => finish(false));
  });
}

/**
 * Runs the gateway in a process group of its own, so that signals reach it from here alone.
 * @param {readonly string[]} args
 * @returns {Promise<number>} its exit code
 */
function runGateway(args) {
  return new Promise((finished) => {
    const child = spawn(process.execPath, [join(ROOT, 'bin/garligate'), 'run', ...args], {
      cwd: workingFolder,
      env: { ...process.env, PATH: SEARCH_PATH },
      stdio: 'inherit',
      detached: true,
    });
    /** @param {NodeJS.Signals} signal */
    const forward = (signal) => void child.kill(signal);
    for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP'])) process.on(signal, forward);
    child.on('error', (error) => {
      console.error(`The gateway could not be started: ${error.message}`);
      finished(1);
    });
    child.on('exit', (code, signal) => finished(exitCodeOf(code, signal)));
  });
}

await main(start);
