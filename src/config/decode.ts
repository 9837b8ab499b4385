/** The text of a config file into settings, or into a list of everything that is wrong with it. Reads no file. */
import { parse, TomlError } from 'smol-toml';
import { z } from 'zod';
import { type KeyPath, type Locate, locateKeys } from './locate.ts';
import { nearest } from './nearest.ts';
import { foundText, keyText, type Problem } from './problem.ts';
import { brokenRules } from './rules.ts';
import { type Config, configSchema, type DefaultPaths } from './schema.ts';

export type Decoded =
  | { readonly kind: 'config'; readonly config: Config }
  /** At least one, in the order of the lines. */
  | { readonly kind: 'problems'; readonly problems: readonly Problem[] };

/** Nobody reads more at a time, and a broken file breaks all over. */
const MOST_PROBLEMS = 20;

export function decodeConfig(toml: string, paths: DefaultPaths): Decoded {
  const raw = parseToml(toml);
  if (raw.kind === 'problem') return problems([raw.problem]);

  const locate = locateKeys(toml);
  const schema = configSchema(paths);
  const checked = schema.safeParse(raw.table);
  if (!checked.success) {
    return problems(checked.error.issues.flatMap((issue) => describeIssue(issue, raw.table, schema, locate)));
  }
  const broken = brokenRules(checked.data).map((rule) => problemAt(rule.path, rule.found, rule.wanted, locate));
  return broken.length > 0 ? problems(broken) : { kind: 'config', config: checked.data };
}

/** What a gateway without a config file does. */
export function defaultConfig(paths: DefaultPaths): Config {
  return configSchema(paths).parse({});
}

type Parsed =
  | { readonly kind: 'table'; readonly table: Readonly<Record<string, unknown>> }
  | { readonly kind: 'problem'; readonly problem: Problem };

function parseToml(toml: string): Parsed {
  try {
    return { kind: 'table', table: parse(toml, { unsafeKeyBehaviour: 'throw', maxDepth: 16 }) };
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    const [first = ''] = error.message.split('\n', 1);
    const reason = first.replace(/^Invalid TOML document: /, '');
    const found = `${reason} in column ${error.column}`;
    return { kind: 'problem', problem: { line: error.line, key: '', found, wanted: 'TOML (https://toml.io)' } };
  }
}

function problems(list: readonly Problem[]): Decoded {
  const sorted = [...list].sort((one, other) => one.line - other.line);
  return { kind: 'problems', problems: sorted.slice(0, MOST_PROBLEMS) };
}

function problemAt(path: KeyPath, found: string, wanted: string, locate: Locate): Problem {
  return { line: locate(path), key: keyText(path), found, wanted };
}

function describeIssue(
  issue: z.core.$ZodIssue,
  table: Readonly<Record<string, unknown>>,
  schema: z.ZodType,
  locate: Locate,
): readonly Problem[] {
  const path = issue.path.filter((part): part is string | number => typeof part !== 'symbol');
  if (issue.code === 'unrecognized_keys') {
    const known = knownKeys(schemaAt(schema, path));
    return issue.keys.map((key) => {
      const meant = suggestion(key, path, known, schema);
      const wanted = meant === undefined ? `one of ${known.join(', ')}` : `a known one: did you mean ${meant}?`;
      return problemAt([...path, key], 'an unknown key', wanted, locate);
    });
  }
  const { secret = false } = z.globalRegistry.get(schemaAt(schema, path)) ?? {};
  const found = secret ? 'something else' : foundText(valueAt(table, path));
  const message =
    issue.code === 'invalid_key'
      ? (issue.issues[0]?.message ?? 'another name')
      : issue.code === 'invalid_type' && issue.expected === 'object'
        ? 'a table'
        : issue.message;
  return [problemAt(path, found, message, locate)];
}

/** The nearest key of the same table, or the same key in another one. */
function suggestion(key: string, path: KeyPath, known: readonly string[], schema: z.ZodType): string | undefined {
  const near = nearest(key, known);
  if (near !== undefined) return near;
  for (const section of knownKeys(schema)) {
    if (section !== path[0] && knownKeys(schemaAt(schema, [section])).includes(key)) return `${section}.${key}`;
  }
  return undefined;
}

/** Elements of a list are all alike, so their numbers mean nothing. */
function schemaAt(schema: z.core.$ZodType, path: KeyPath): z.core.$ZodType {
  let current = unwrap(schema);
  for (const part of path) {
    if (typeof part === 'number') continue;
    if (current instanceof z.ZodRecord) {
      current = unwrap(current.valueType);
      continue;
    }
    const next: z.core.$ZodType | undefined = current instanceof z.ZodObject ? current.shape[part] : undefined;
    if (next === undefined) return current;
    current = unwrap(next);
    if (current instanceof z.ZodArray) current = unwrap(current.element);
  }
  return current;
}

function unwrap(schema: z.core.$ZodType): z.core.$ZodType {
  return schema instanceof z.ZodPrefault || schema instanceof z.ZodOptional ? unwrap(schema.unwrap()) : schema;
}

function knownKeys(schema: z.core.$ZodType): readonly string[] {
  const table = unwrap(schema);
  const element = table instanceof z.ZodArray ? unwrap(table.element) : table;
  return element instanceof z.ZodObject ? Object.keys(element.shape) : [];
}

function valueAt(value: unknown, path: KeyPath): unknown {
  let current = value;
  for (const part of path) {
    if (typeof current !== 'object' || current === null) return undefined;
    current = Object.entries(current).find(([key]) => key === String(part))?.[1];
  }
  return current;
}
