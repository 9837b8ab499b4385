/**
 * What two configs differ in, and which of that a running gateway can take over: the keys that the schema calls live. Reads
 * and changes nothing.
 */
import { z } from 'zod';
import { isSame } from '../kit/same.ts';
import { type Config, configSchema, type DefaultPaths } from './schema.ts';

export interface ConfigChanges {
  /** Keys as they stand in the file, such as `log.level`; tables of which there are several as a whole, such as `peer`. */
  readonly live: readonly string[];
  readonly needRestart: readonly string[];
}

interface Difference {
  readonly key: string;
  readonly isLive: boolean;
}

export function configChanges(before: Config, after: Config, paths: DefaultPaths): ConfigChanges {
  const found = [...differences(configSchema(paths), before, after, '')];
  const keys = (isLive: boolean) => found.filter((one) => one.isLive === isLive).map(({ key }) => key);
  return { live: keys(true), needRestart: keys(false) };
}

function* differences(schema: z.core.$ZodType, before: unknown, after: unknown, key: string): Generator<Difference> {
  const inner = unwrapped(schema);
  if (inner instanceof z.ZodObject && before !== undefined && after !== undefined) {
    for (const [name, member] of Object.entries(inner.shape)) {
      yield* differences(member, memberOf(before, name), memberOf(after, name), key === '' ? name : `${key}.${name}`);
    }
  } else if (!isSame(before, after)) yield { key, isLive: isLive(schema) };
}

/** A list of tables is live when every key in them is. */
function isLive(schema: z.core.$ZodType): boolean {
  const inner = unwrapped(schema);
  if (inner instanceof z.ZodArray && inner.element instanceof z.ZodObject) {
    return Object.values(inner.element.shape).every(isLive);
  }
  return z.globalRegistry.get(schema)?.live === true;
}

function unwrapped(schema: z.core.$ZodType): z.core.$ZodType {
  return schema instanceof z.ZodPrefault || schema instanceof z.ZodOptional ? unwrapped(schema.unwrap()) : schema;
}

function memberOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null
    ? Object.entries(value).find(([key]) => key === name)?.[1]
    : undefined;
}
