/**
 * The schema as text for people: the commented example file, which `garligate init` also writes, and docs/config.md.
 * In the example every key stands with its default behind a `#`, so that the file changes nothing until it is edited.
 */
import { z } from 'zod';
import { configSchema, type DefaultPaths } from './schema.ts';

/** A section or key of the schema, ready to be printed. */
interface Described {
  readonly name: string;
  readonly description: string;
  readonly isLive: boolean;
  /** A table that is absent unless it is given, and then has the values that stand here. */
  readonly isOptional: boolean;
  readonly body:
    | { readonly kind: 'table' | 'tables'; readonly entries: readonly Described[] }
    /** One table for each name that the user chooses, of which `example` is one. */
    | { readonly kind: 'named-tables'; readonly example: string; readonly entries: readonly Described[] }
    /** Among the sections: a table whose keys are the user's own, of which `example` is one. */
    | {
        readonly kind: 'key';
        readonly wanted: string;
        readonly value: string;
        /** What the reference says of the default. */
        readonly fallback: string;
        readonly example: string;
      };
}

const COMMENT_WIDTH = 100;

export function renderExample(paths: DefaultPaths): string {
  const header = [
    '# Configuration of garligate. Every key is optional; behind each # stands its default. All keys are explained in',
    '# docs/config.md. `garligate check` says whether the file is right.',
  ];
  const sections = describeAll(paths).map((section) => {
    // Without a default there is nothing that could stand there uncommented.
    const isCommentedOut = section.name === 'peer' || section.body.kind === 'named-tables';
    const heading = headingOf(section, section.body.kind === 'named-tables' ? section.body.example : 'NAME');
    const lines = [...comment(section.description), isCommentedOut ? `#${heading}` : heading];
    if (section.body.kind === 'key') lines.push(`#${section.body.example}`);
    else for (const entry of section.body.entries) lines.push(...exampleKey(entry));
    return lines.join('\n');
  });
  return `${[header.join('\n'), ...sections].join('\n\n')}\n`;
}

/** @param name for tables whose names are the user's own */
function headingOf(section: Described, name: string): string {
  switch (section.body.kind) {
    case 'tables':
      return `[[${section.name}]]`;
    case 'named-tables':
      return `[${section.name}.${name}]`;
    case 'table':
    case 'key':
      return `[${section.name}]`;
    default:
      return section.body satisfies never;
  }
}

/** What is not there by default stands in the prose, so that switching on every line gives the defaults. */
function exampleKey(entry: Described): readonly string[] {
  const line = `${entry.name} = ${tomlOf(entry)}`;
  return [...comment(entry.description), entry.isOptional ? `# ${line}` : `#${line}`];
}

function tomlOf({ body }: Described): string {
  if (body.kind === 'key') return body.value;
  return `{ ${body.entries.map((entry) => `${entry.name} = ${tomlOf(entry)}`).join(', ')} }`;
}

function comment(text: string): readonly string[] {
  const lines: string[] = [];
  let line = '#';
  for (const word of text.split(' ')) {
    if (line.length + 1 + word.length > COMMENT_WIDTH) {
      lines.push(line);
      line = '#';
    }
    line += ` ${word}`;
  }
  return [...lines, line];
}

export function renderReference(paths: DefaultPaths): string {
  const parts = [
    '# Configuration',
    '<!-- Made by `npm run generate` from src/config/schema.ts: change it there. -->',
    [
      'One TOML file, by default `/etc/garligate/garligate.toml` for root and `~/.config/garligate/garligate.toml` for',
      'everybody else; `--config FILE` or the environment variable `GARLIGATE_CONFIG` name another. Every key is optional,',
      'and without a file all defaults hold. For other users than root the default paths lie under `~/.local/state/garligate`',
      'and `$XDG_RUNTIME_DIR/garligate`.',
    ].join('\n'),
    [
      "An unknown key is an error. The file must not be writable by everybody, and for root it must be root's own.",
      '`garligate check` tells the mistakes, twenty at most, with their lines. `garligate reload` has a running gateway',
      'take over keys that are marked *live*; all others take a restart.',
      '[The example](examples/garligate.toml) has all keys with their defaults.',
    ].join('\n'),
    ...describeAll(paths).map(referenceSection),
  ];
  return `${parts.join('\n\n')}\n`;
}

function referenceSection(section: Described): string {
  const introduction = [`## ${headingOf(section, 'NAME')}`, '', section.description, ''];
  if (section.body.kind === 'key') {
    const { example, wanted } = section.body;
    return [...introduction, `Each line is a name and its destination, ${wanted}: \`${example}\`.`].join('\n');
  }
  const rows = section.body.entries.flatMap((entry) => referenceRows(entry, ''));
  return [...introduction, '| key | default | a correct value is | meaning |', '|---|---|---|---|', ...rows].join('\n');
}

function referenceRows(entry: Described, prefix: string): readonly string[] {
  const name = `${prefix}${entry.name}`;
  if (entry.body.kind !== 'key') {
    const table = `| \`${name}\` | | a table of the keys below | ${cell(entry.description)} |`;
    return [table, ...entry.body.entries.flatMap((inner) => referenceRows(inner, `${name}.`))];
  }
  const meaning = entry.isLive ? `${entry.description} *Live.*` : entry.description;
  return [`| \`${name}\` | ${cell(entry.body.fallback)} | ${cell(entry.body.wanted)} | ${cell(meaning)} |`];
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|');
}

function describeAll(paths: DefaultPaths): readonly Described[] {
  return describeEntries(configSchema(paths));
}

function describeEntries(table: z.ZodObject): readonly Described[] {
  return Object.entries(table.shape).map(([name, schema]) => describe(name, schema));
}

function describe(name: string, schema: z.core.$ZodType): Described {
  const meta = z.globalRegistry.get(schema) ?? {};
  const { description = '', example = '""', otherwise = 'none: required', live: isLive = false } = meta;
  const fallback = schema instanceof z.ZodPrefault ? schema.def.defaultValue : undefined;
  const inner = schema instanceof z.ZodPrefault || schema instanceof z.ZodOptional ? schema.unwrap() : schema;
  const isOptional = schema instanceof z.ZodOptional && inner instanceof z.ZodObject;
  const about = { name, description, isLive, isOptional };
  if (inner instanceof z.ZodObject) return { ...about, body: { kind: 'table', entries: describeEntries(inner) } };
  if (inner instanceof z.ZodArray && inner.element instanceof z.ZodObject) {
    return { ...about, body: { kind: 'tables', entries: describeEntries(inner.element) } };
  }
  if (inner instanceof z.ZodRecord && inner.valueType instanceof z.ZodObject) {
    return { ...about, body: { kind: 'named-tables', example, entries: describeEntries(inner.valueType) } };
  }
  const wanted = z.globalRegistry.get(inner)?.wanted ?? '';
  const value = fallback === undefined ? example : tomlValue(fallback);
  const shown = fallback === undefined ? otherwise : `\`${value}\``;
  return { ...about, body: { kind: 'key', wanted, value, fallback: shown, example } };
}

function tomlValue(value: unknown): string {
  const isTable = typeof value === 'object' && value !== null && !Array.isArray(value);
  if (isTable && Object.keys(value).length === 0) return '{}';
  // Texts, numbers and booleans are written alike in JSON and TOML.
  return JSON.stringify(value);
}
