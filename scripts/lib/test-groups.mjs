/**
 * The groups of tests: which folder each one is, what it needs, and how long one file of it may take. Knows nothing of how
 * tests are run.
 */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from './command.mjs';

/**
 * @typedef {object} TestGroup
 * @property {string} name
 * @property {readonly string[]} folders in test/; '.' means the files of test/ itself
 * @property {string} what
 * @property {boolean} root needs root, the Debian packages, the native part and dist/
 * @property {number} fileSeconds the longest that one file may take
 */

/** From the quickest to the slowest. @type {readonly TestGroup[]} */
export const GROUPS = [
  { name: 'unit', folders: ['unit', '.'], what: 'parts alone', root: false, fileSeconds: 300 },
  { name: 'sim', folders: ['sim'], what: 'whole gateways, fake bridge', root: false, fileSeconds: 300 },
  { name: 'fuzz', folders: ['property', 'fuzz'], what: 'properties, generated', root: false, fileSeconds: 300 },
  { name: 'net', folders: ['net'], what: 'real TUN in namespaces', root: true, fileSeconds: 300 },
  { name: 'live', folders: ['live'], what: 'real I2P routers', root: true, fileSeconds: 600 },
];

/** Files that take most of their time waiting: they begin first, so that the others run beside them and not after them. */
const BEGIN_FIRST = new Set([
  'test/unit/cli/running.test.ts',
  'test/sim/restarts.test.ts',
  'test/net/leak-test.test.ts',
  'test/net/leak-start.test.ts',
  'test/net/floods-silent.test.ts',
  'test/net/floods-slow.test.ts',
  'test/net/mtu.test.ts',
  'test/net/slow-cable.test.ts',
  'test/live/gateways.test.ts',
]);

/**
 * @param {TestGroup} group
 * @returns {string[]} its files, relative to the checkout, in a stable order
 */
function filesOf(group) {
  const files = group.folders
    .flatMap((folder) => {
      const place = join('test', folder);
      if (!existsSync(join(ROOT, place))) return [];
      const names = readdirSync(join(ROOT, place), { recursive: folder !== '.', encoding: 'utf8' });
      return names.filter((name) => name.endsWith('.test.ts')).map((name) => join(place, name));
    })
    .sort();
  return [...files.filter((file) => BEGIN_FIRST.has(file)), ...files.filter((file) => !BEGIN_FIRST.has(file))];
}

/**
 * @typedef {object} Selection
 * @property {TestGroup} group
 * @property {readonly string[]} files
 */

/**
 * @param {readonly string[]} wanted names of groups and parts of file names; none means everything
 * @returns {{ selections: Selection[], unknown: string[] }} `unknown` are the words that match nothing
 */
export function select(wanted) {
  const names = new Set(GROUPS.map(({ name }) => name));
  const groups = wanted.filter((word) => names.has(word));
  const parts = wanted.filter((word) => !names.has(word));
  const offered = GROUPS.filter(({ name }) => groups.length === 0 || groups.includes(name));
  const selections = offered.map((group) => {
    const files = filesOf(group);
    return {
      group,
      files: parts.length === 0 ? files : files.filter((file) => parts.some((part) => file.includes(part))),
    };
  });
  return {
    // Groups that were asked for stay even when they are empty: that is a failure to be told.
    selections: parts.length === 0 ? selections : selections.filter(({ files }) => files.length > 0),
    unknown: parts.filter((part) => !selections.some(({ files }) => files.some((file) => file.includes(part)))),
  };
}
