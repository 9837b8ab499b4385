import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  type AllowRule,
  formatAllowRule,
  parseAllowRule,
  permits,
  portsOf,
} from '../../../../src/wire/packet/allow-rule.ts';

test('rules are read and printed', () => {
  for (const [text, rule] of [
    ['all', { kind: 'all' }],
    ['icmp', { kind: 'icmp' }],
    ['tcp/22', { kind: 'tcp', first: 22, last: 22 }],
    ['udp/5000-5010', { kind: 'udp', first: 5000, last: 5010 }],
    ['tcp/1-65535', { kind: 'tcp', first: 1, last: 65_535 }],
  ] as const) {
    assert.deepEqual(parseAllowRule(text), rule);
    assert.equal(formatAllowRule(rule), text);
  }
});

test('what is no rule is none', () => {
  for (const text of [
    '',
    'ALL',
    'tcp',
    'tcp/',
    'tcp/0',
    'tcp/65536',
    'tcp/022',
    'tcp/22-',
    'tcp/-22',
    'tcp/23-22',
    'tcp/22,23',
    'tcp/ssh',
    'tcp 22',
    'tcp/22 ',
    'icmp/8',
    'sctp/22',
    'all/22',
  ]) {
    assert.equal(parseAllowRule(text), undefined, text);
  }
});

const ports = fc.integer({ min: 1, max: 65_535 });
const ranges = fc.tuple(ports, fc.integer({ min: 0, max: 300 })).map(([first, more]) => ({
  first,
  last: Math.min(first + more, 65_535),
}));
const rules: fc.Arbitrary<readonly AllowRule[]> = fc.array(
  fc.oneof(
    { arbitrary: fc.constant<AllowRule>({ kind: 'icmp' }), weight: 1 },
    { arbitrary: ranges.map((range): AllowRule => ({ kind: 'tcp', ...range })), weight: 4 },
    { arbitrary: ranges.map((range): AllowRule => ({ kind: 'udp', ...range })), weight: 4 },
    { arbitrary: fc.constant<AllowRule>({ kind: 'all' }), weight: 1 },
  ),
  { maxLength: 8 },
);

/** Every single thing that a rule lets in, spelled out. */
function spelledOut(list: readonly AllowRule[]): ReadonlySet<string> {
  const reachable = new Set<string>();
  const add = (protocol: 'tcp' | 'udp', first: number, last: number) => {
    for (let port = first; port <= last; port += 1) reachable.add(`${protocol} ${port}`);
  };
  for (const text of list.map(formatAllowRule)) {
    if (text === 'all' || text === 'icmp') reachable.add('icmp');
    if (text === 'all') {
      add('tcp', 1, 65_535);
      add('udp', 1, 65_535);
    }
    const [, kind, first, last = first] = /^(tcp|udp)\/(\d+)(?:-(\d+))?$/.exec(text) ?? [];
    if (kind === 'tcp' || kind === 'udp') add(kind, Number(first), Number(last));
  }
  return reachable;
}

test('a list of rules permits what its texts say, one by one', () => {
  fc.assert(
    fc.property(rules, fc.array(ports, { maxLength: 20 }), (list, others) => {
      const reachable = spelledOut(list);
      assert.equal(permits(list, { protocol: 'icmp' }), reachable.has('icmp'));
      const edges = list.flatMap((rule) =>
        'first' in rule ? [rule.first - 1, rule.first, rule.last, rule.last + 1] : [],
      );
      for (const port of [...edges, ...others].filter((one) => one >= 1 && one <= 65_535)) {
        for (const protocol of ['tcp', 'udp'] as const) {
          assert.equal(permits(list, { protocol, port }), reachable.has(`${protocol} ${port}`), `${protocol} ${port}`);
        }
      }
    }),
    { numRuns: 50 },
  );
});

test('the ports of a protocol come once, in order, in ranges that do not touch', () => {
  fc.assert(
    fc.property(rules, (list) => {
      const narrow = list.filter(({ kind }) => kind !== 'all');
      const joined = portsOf(narrow, 'tcp');
      const listed = joined.flatMap(({ first, last }) =>
        Array.from({ length: last - first + 1 }, (_, at) => first + at),
      );
      const wanted = [...spelledOut(narrow)].flatMap((text) => (text.startsWith('tcp') ? [Number(text.slice(4))] : []));
      assert.deepEqual(
        listed,
        wanted.toSorted((one, other) => one - other),
      );
      assert.ok(joined.every(({ first }, at) => first > (joined[at - 1]?.last ?? -1) + 1));
    }),
    { numRuns: 100 },
  );
});
