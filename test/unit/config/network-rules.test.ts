import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeConfig } from '../../../src/config/decode.ts';
import { describeProblem } from '../../../src/config/problem.ts';

const PATHS = { keyFile: '/k', routerDirectory: '/r', controlSocket: '/c' };
const NAMES = [...'abcd'].map((letter) => `${letter.repeat(51)}q`);

/** Networks of ours, and those of each peer. */
function problemsOf(networks: readonly string[], ...routes: readonly (readonly string[])[]): readonly string[] {
  const peers = routes.map(
    (list, at) => `[[peer]]\nname = "p${at}"\ndestination = "${NAMES[at]}.b32.i2p"\nroutes = ${JSON.stringify(list)}`,
  );
  const decoded = decodeConfig(`[vpn]\nnetworks = ${JSON.stringify(networks)}\n${peers.join('\n')}`, PATHS);
  return decoded.kind === 'config' ? [] : decoded.problems.map((problem) => describeProblem('f', problem));
}

test('networks side by side, and one inside that of another peer, are right', () => {
  assert.deepEqual(problemsOf(['fd98:1::/48', '2001:db8:1::/64'], ['fd12::/32', 'fc00::/8'], ['fd12:0:1::/48']), []);
  // A peer that has everything but what is ours.
  assert.deepEqual(problemsOf(['fd98:1::/48'], ['fc00::/7']), []);
  // An inner part goes to the same peer again, around it to another one.
  assert.deepEqual(problemsOf([], ['fd12::/32', 'fd12:0:1:1::/64'], ['fd12:0:1::/48']), []);
});

for (const [what, networks, routes, ...texts] of [
  [
    'a way to everywhere',
    [],
    [['::/0', '2000::/3', '2000::/4']],
    'f:6: peer[1].routes[1]: found "::/0", wanted a network inside fc00::/7, or one with at least 16 bits inside 2000::/3',
    /routes\[2\]: found "2000::\/3"/,
    /routes\[3\]: found "2000::\/4"/,
  ],
  ['multicast, link-local, loopback', ['ff00::/8', 'fe80::/10', '::1/128'], [], /ff00/, /fe80/, /::1/],
  ['addresses in disguise', [], [['::ffff:0:0/96', '64:ff9b::/96']], /::ffff/, /64:ff9b/],
  ['the VPN itself', ['fd60:db4d:ddb5::/48'], [['fd60:db4d:ddb5:1::/64']], /outside fd60/, /outside fd60/],
  ['ours around the VPN', ['fd60::/16'], [], /outside fd60:db4d:ddb5::\/48/],
  [
    'the same twice',
    [],
    [['fd12::/32', 'fd12::/32']],
    /found "fd12::\/32" again, of peer\[1\], wanted each network once/,
  ],
  ['the same of two peers', [], [['fd12::/32'], ['fd12::/32']], /peer\[2\]\.routes\[1\]: found .* of peer\[1\]/],
  ['ours at a peer', ['fd12::/32'], [['fd12::/32']], /peer\[1\]\.routes\[1\]: found .* of vpn\.networks/],
  ['a part of ours', ['fd12::/32'], [['fd12:0:1::/48']], /a peer must not take a part of ours/],
  ['a part of its own', [], [['fd12::/32', 'fd12:0:1::/48']], /routes\[2\]: .* wanted the larger of the two alone/],
  ['bits behind the prefix', [], [['fd12::1/32']], /routes\[1\]: found "fd12::1\/32", wanted a prefix with only zeros/],
  ['IPv4', ['10.0.0.0/8'], [], /vpn\.networks\[1\]/],
] as const) {
  test(`${what}: refused with a reason`, () => {
    const problems = problemsOf(networks, ...routes);
    assert.equal(problems.length, texts.length, problems.join('\n'));
    for (const [at, text] of texts.entries()) {
      if (typeof text === 'string') assert.equal(problems[at], text);
      else assert.match(problems[at] ?? '', text);
    }
  });
}

test('more networks than the kernel should have to look through are refused', () => {
  const many = (of: number, count = 256) =>
    Array.from({ length: count }, (_, at) => `fd0${of}:${at.toString(16)}::/32`);
  assert.deepEqual(problemsOf(many(0), many(1), many(2), many(3)), []);
  assert.match(problemsOf(many(0, 257))[0] ?? '', /vpn\.networks: found a list, wanted a list of at most 256/);
  const five = [many(1), many(2), many(3), many(4)];
  const problems = problemsOf(many(0, 1), ...five);
  assert.equal(problems.length, 1);
  assert.match(problems[0] ?? '', /peer\[4\]\.routes\[256\]: .* wanted 1024 networks at most/);
});
