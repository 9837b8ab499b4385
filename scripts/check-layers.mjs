/**
 * The one-way rule of docs/architecture.md, as a check of every import in src/: which layer may see which, where each
 * package and each builtin module of Node may be used, and no circles between files. Reads text only; knows no types.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { dirname, join, relative, resolve } from 'node:path';
import { isCommand, main, ROOT } from './lib/command.mjs';

/**
 * @typedef {object} Layer
 * @property {string} folder
 * @property {readonly string[]} sees the folders that it may import from, besides itself
 * @property {readonly string[] | 'any'} builtins modules of Node; `type:` before a name allows its types alone
 */

/** From the bottom up. @type {readonly Layer[]} */
const LAYERS = [
  { folder: 'kit', sees: [], builtins: ['type:node:stream', 'node:events', 'node:util'] },
  { folder: 'wire', sees: ['kit'], builtins: ['node:crypto'] },
  { folder: 'core', sees: ['kit', 'wire'], builtins: ['node:stream', 'node:crypto'] },
  { folder: 'config', sees: ['kit', 'wire'], builtins: [] },
  { folder: 'control', sees: ['kit', 'wire', 'core'], builtins: [] },
  { folder: 'front', sees: ['kit', 'wire', 'core'], builtins: ['node:stream', 'node:crypto'] },
  { folder: 'io', sees: ['kit', 'wire', 'core', 'config', 'control'], builtins: 'any' },
  { folder: 'app', sees: ['kit', 'wire', 'core', 'config', 'control', 'front', 'io'], builtins: 'any' },
  { folder: 'cli', sees: ['kit', 'wire', 'core', 'config', 'control', 'io', 'app'], builtins: 'any' },
];

/** The front door for programs that embed a gateway: it may re-export from anywhere. */
const ENTRY_FILES = ['index.ts'];

/** Where each runtime package may be imported. @type {Readonly<Record<string, readonly string[]>>} */
const PACKAGE_HOMES = {
  commander: ['cli'],
  pino: ['io/log-pino.ts'],
  'smol-toml': ['config', 'io'],
  zod: ['config', 'control'],
  'ip-address': ['wire/access', 'wire/i2p', 'wire/packet', 'wire/socks', 'config', 'io', 'front/socks'],
  'ipaddr.js': ['wire/i2p', 'wire/packet', 'wire/socks', 'config', 'io', 'front/socks'],
};

/** @type {Readonly<Record<string, string>>} */
const FORBIDDEN_BUILTINS = {
  'node:dns': 'a name that reaches the resolver of the system has left I2P',
};

/** Fewer means that the checker looked in the wrong place. */
const FEWEST_MODULES = 30;

/**
 * @typedef {object} Problem
 * @property {string} file relative to the folder that was checked
 * @property {number} line counted from 1
 * @property {'layer' | 'front' | 'package' | 'builtin' | 'path' | 'cycle' | 'count'} rule
 * @property {string} reason
 */

/**
 * @typedef {object} Import
 * @property {string} from what stands between the quotes
 * @property {number} line
 * @property {boolean} typeOnly
 */

/**
 * @param {string} source a folder laid out like src/
 * @param {{ fewestModules?: number }} [options]
 * @returns {{ modules: number, problems: Problem[] }}
 */
export function checkLayers(source, { fewestModules = FEWEST_MODULES } = {}) {
  const files = readdirSync(source, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .sort();
  /** @type {Problem[]} */
  const problems = [];
  /** @type {Map<string, { to: string, line: number }[]>} */
  const graph = new Map();
  for (const file of files) {
    const imports = importsOf(readFileSync(join(source, file), 'utf8'));
    /** @type {{ to: string, line: number }[]} */
    const edges = [];
    graph.set(file, edges);
    for (const each of imports) {
      const to = each.from.startsWith('.') ? relative(source, resolve(source, dirname(file), each.from)) : undefined;
      const objection = to === undefined ? objectToModule(file, each) : objectToFile(source, file, to);
      if (objection !== undefined) problems.push({ file, line: each.line, ...objection });
      if (to !== undefined) edges.push({ to, line: each.line });
    }
  }
  problems.push(...findCycles(graph));
  if (files.length < fewestModules) {
    const reason = `only ${files.length} modules seen, ${fewestModules} or more expected: is this the right folder?`;
    problems.push({ file: '.', line: 1, rule: 'count', reason });
  }
  return { modules: files.length, problems };
}

const STATEMENTS = [
  /^[ \t]*import\s+(?<type>type\s+)?(?<names>[\w$*{},\s]+?)\s*from\s*(['"])(?<from>[^'"\n]+)\3/gm,
  /^[ \t]*export\s+(?<type>type\s+)?(?<names>\*(?:\s+as\s+\w+)?|\{[^}]*\})\s*from\s*(['"])(?<from>[^'"\n]+)\3/gm,
  /^[ \t]*import\s*(['"])(?<from>[^'"\n]+)\1/gm,
  /\bimport\s*\(\s*(['"])(?<from>[^'"\n]+)\1/g,
];

/**
 * @param {string} text
 * @returns {Import[]} in the order of their lines
 */
function importsOf(text) {
  return STATEMENTS.flatMap((pattern) =>
    [...text.matchAll(pattern)].map((match) => ({
      from: match.groups?.['from'] ?? '',
      line: text.slice(0, match.index + match[0].length).split('\n').length,
      typeOnly: match.groups?.['type'] !== undefined || namesAreTypes(match.groups?.['names']),
    })),
  ).sort((a, b) => a.line - b.line);
}

/** @param {string | undefined} names what stands between `import` and `from` */
function namesAreTypes(names) {
  const list = names
    ?.match(/^\{(.*)\}$/s)?.[1]
    ?.split(',')
    .map((name) => name.trim());
  return list?.every((name) => name === '' || name.startsWith('type ')) ?? false;
}

/**
 * @param {string} source
 * @param {string} file
 * @param {string} to the file that it imports
 * @returns {Pick<Problem, 'rule' | 'reason'> | undefined}
 */
function objectToFile(source, file, to) {
  if (to.startsWith('..')) return { rule: 'path', reason: `${to} lies outside of the source folder` };
  if (!existsSync(join(source, to))) return { rule: 'path', reason: `${to} does not exist` };
  if (ENTRY_FILES.includes(file)) return undefined;
  const [from, target] = [layerOf(file), layerOf(to)];
  if (from === undefined) return { rule: 'layer', reason: `${file} stands in no layer` };
  if (target === undefined) return { rule: 'layer', reason: `${to} stands in no layer` };
  if (from === target && from.folder === 'front' && frontOf(file) !== frontOf(to)) {
    return { rule: 'front', reason: `fronts are strangers to each other, and ${to} belongs to another one` };
  }
  if (from === target || from.sees.includes(target.folder)) return undefined;
  const sees = from.sees.join(', ') || 'nothing but itself';
  return { rule: 'layer', reason: `${from.folder} may not know ${target.folder} (${to}); it sees ${sees}` };
}

/**
 * @param {string} file
 * @param {Import} each an import of a package or of a builtin module
 * @returns {Pick<Problem, 'rule' | 'reason'> | undefined}
 */
function objectToModule(file, { from, typeOnly }) {
  const name = from.startsWith('@') ? from.split('/', 2).join('/') : (from.split('/', 1)[0] ?? from);
  if (name.startsWith('node:')) return objectToBuiltin(file, name, typeOnly);
  if (builtinModules.includes(name)) return { rule: 'builtin', reason: `write node:${from}, so that it is no package` };
  const homes = PACKAGE_HOMES[name];
  if (homes === undefined) return { rule: 'package', reason: `${name} is not one of the packages that src/ may use` };
  if (homes.some((home) => isInside(file, home))) return undefined;
  return { rule: 'package', reason: `${name} is used only in ${homes.join(', ')}` };
}

/**
 * @param {string} file
 * @param {string} name
 * @param {boolean} typeOnly
 * @returns {Pick<Problem, 'rule' | 'reason'> | undefined}
 */
function objectToBuiltin(file, name, typeOnly) {
  const forbidden = FORBIDDEN_BUILTINS[name];
  if (forbidden !== undefined) return { rule: 'builtin', reason: `${name} is forbidden everywhere: ${forbidden}` };
  const allowed = layerOf(file)?.builtins ?? 'any';
  if (allowed === 'any' || allowed.includes(name) || (typeOnly && allowed.includes(`type:${name}`))) return undefined;
  const list = allowed.map((each) => each.replace('type:', 'the types of ')).join(', ') || 'none at all';
  const reason = `${name} is not for ${layerOf(file)?.folder}, which uses of Node: ${list}; the outside world is for io/`;
  return { rule: 'builtin', reason };
}

/** @param {string} file */
function layerOf(file) {
  return LAYERS.find(({ folder }) => isInside(file, folder));
}

/** Each folder in front/ is one. @param {string} file */
function frontOf(file) {
  return file.split('/', 2)[1];
}

/**
 * @param {string} file
 * @param {string} place a folder, or the file itself
 */
function isInside(file, place) {
  return file === place || file.startsWith(`${place}/`);
}

/**
 * Depth first; every circle is named once, at the import that closes it.
 * @param {ReadonlyMap<string, readonly { to: string, line: number }[]>} graph
 * @returns {Problem[]}
 */
function findCycles(graph) {
  /** @type {Problem[]} */
  const problems = [];
  const finished = new Set();
  /** @type {string[]} */
  const path = [];
  /** @param {string} file */
  const visit = (file) => {
    path.push(file);
    for (const { to, line } of graph.get(file) ?? []) {
      const start = path.indexOf(to);
      if (start >= 0) problems.push({ file, line, rule: 'cycle', reason: [...path.slice(start), to].join(' -> ') });
      else if (!finished.has(to)) visit(to);
    }
    path.pop();
    finished.add(file);
  };
  for (const file of graph.keys()) if (!finished.has(file)) visit(file);
  return problems;
}

/**
 * @param {Problem} problem
 * @param {string} folder what the file is relative to
 */
export function describeProblem({ file, line, rule, reason }, folder) {
  return `${join(folder, file)}:${line}: ${rule}: ${reason}`;
}

if (isCommand(import.meta.url)) {
  await main(async () => {
    const { modules, problems } = checkLayers(join(ROOT, 'src'));
    for (const problem of problems) console.error(describeProblem(problem, 'src'));
    if (problems.length === 0) console.log(`${modules} modules keep the one-way rule`);
    return problems.length === 0 ? 0 : 1;
  });
}
