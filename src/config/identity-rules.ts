/** Rules between settings that decide in whose name SOCKS clients go out. */
import { counted } from '../kit/counted.ts';
import { type BrokenRule, foundText } from './problem.ts';

import type { Config, SocksConfig } from './schema.ts';

export function* identityRules(config: Config): Generator<BrokenRule> {
  yield* keyFileRules(config);
  for (const [index, socks] of config.socks.entries()) {
    yield* listenerRules(config, socks, index);
    yield* userRules(socks, index);
  }
  yield* spareRules(config);
}

/** Can some of its clients get an isolated session? */
export function mayIsolate({ identity, isolate }: Pick<SocksConfig, 'identity' | 'isolate'>): boolean {
  return identity.kind === 'isolated' || isolate.includes('credentials');
}

/** Two sessions on one key break each other. */
function* keyFileRules({ identity, identities }: Config): Generator<BrokenRule> {
  const owners = new Map([[identity.key_file, 'the gateway']]);
  for (const [name, { key_file }] of Object.entries(identities)) {
    if (key_file === '') continue;
    const owner = owners.get(key_file);
    if (owner !== undefined) {
      yield {
        path: ['identities', name, 'key_file'],
        found: `the file of ${owner} again`,
        wanted: 'a file of its own',
      };
    }
    owners.set(key_file, `identities.${name}`);
  }
}

function* listenerRules({ identities, limits }: Config, socks: SocksConfig, index: number): Generator<BrokenRule> {
  const { identity, isolate, tunnels, ahead } = socks;
  if (identity.kind === 'named' && !Object.hasOwn(identities, identity.name)) {
    yield {
      path: ['socks', index, 'identity'],
      found: foundText(identity.name),
      wanted: `"gateway", "isolated", or the name of a table such as [identities.${identity.name}], which is not there`,
    };
  }
  const others = isolate.filter((fact) => fact !== 'credentials');
  if (identity.kind !== 'isolated' && others.length > 0) {
    yield {
      path: ['socks', index, 'isolate'],
      found: `"${others[0]}", a difference between all clients, who then never have the identity of the listener`,
      wanted: 'identity = "isolated" as well, or nothing but "credentials"',
    };
  }
  if (identity.kind !== 'isolated' && tunnels !== undefined) {
    yield {
      path: ['socks', index, 'tunnels'],
      found: 'tunnels for a listener whose clients share a destination',
      wanted:
        'identity = "isolated" as well, or the tunnels of that destination: [tunnels] or [identities.NAME.tunnels]',
    };
  }
  if (ahead > 0 && !mayIsolate(socks)) {
    yield {
      path: ['socks', index, 'ahead'],
      found: 'sessions ahead for a listener that isolates nobody',
      wanted: '0, or identity = "isolated", or isolate = ["credentials"]',
    };
  }
  if (identity.kind === 'isolated' && limits.isolated_sessions === 0) {
    yield {
      path: ['socks', index, 'identity'],
      found: '"isolated", while limits.isolated_sessions is 0',
      wanted: 'a limit of 1 or more, or another identity',
    };
  }
}

function* userRules({ users, prefer_no_auth }: SocksConfig, index: number): Generator<BrokenRule> {
  if (users.length > 0 && prefer_no_auth) {
    yield {
      path: ['socks', index, 'prefer_no_auth'],
      found: 'true, while only users are served',
      wanted: 'false, or no users',
    };
  }
  const names = new Set<string>();
  for (const [number, { name }] of users.entries()) {
    if (names.has(name)) {
      yield { path: ['socks', index, 'users', number], found: 'a user again', wanted: 'each user once' };
    }
    names.add(name);
  }
}

function* spareRules({ socks, limits }: Config): Generator<BrokenRule> {
  const spare = socks.reduce((sum, { ahead }) => sum + ahead, 0);
  const first = socks.findIndex(({ ahead }) => ahead > 0);
  if (spare > limits.isolated_sessions) {
    yield {
      path: ['socks', first, 'ahead'],
      found: `${counted(spare, 'session')} to be built ahead in all`,
      wanted: `at most limits.isolated_sessions, ${limits.isolated_sessions}`,
    };
  }
}
