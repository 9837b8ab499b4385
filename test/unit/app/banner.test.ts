import assert from 'node:assert/strict';
import { test } from 'node:test';
import { banner } from '../../../src/app/banner.ts';
import { decodeConfig } from '../../../src/config/decode.ts';
import type { RouterState } from '../../../src/control/status.ts';
import { peer } from '../core/support.ts';

const SAM: RouterState = { kind: 'external', where: 'somewhere' };

function bannerOf(toml: string, router: RouterState = SAM): readonly string[] {
  const decoded = decodeConfig(toml, { keyFile: '/k', routerDirectory: '/r', controlSocket: '/c' });
  if (decoded.kind !== 'config') return assert.fail(JSON.stringify(decoded));
  const { config } = decoded;
  const listeners = config.socks.map((_, index) => ({ where: `listener ${index + 1}` }));
  return banner({ config, own: peer(1), tun: undefined, listeners, router, created: false }, false);
}

const warnings = (lines: readonly string[]) => lines.filter((line) => line.includes('WARNING'));

test('a start warns of a listener that anybody may use, and of no other', () => {
  const listener = (keys: string) => `[[socks]]\n${keys}\n`;
  const lines = bannerOf(
    [
      listener('listen = "127.0.0.1:9160"\nopen = true'),
      listener('listen = "unix:/run/s"'),
      listener('listen = "192.0.2.1:9160"\nopen = true'),
      listener('listen = "[2001:db8::1]:9160"\nopen = true'),
    ].join(''),
  );
  assert.deepEqual(
    warnings(lines).map((line) => /listener \d/.exec(line)?.[0]),
    ['listener 3', 'listener 4'],
  );
});

test('a start warns of a SAM bridge on another machine, and of no other', () => {
  const elsewhere = '[router]\nsam = "192.0.2.1:7656"\nallow_remote = true\n';
  assert.match(warnings(bannerOf(elsewhere)).join(), /^router: SAM bridge at somewhere; WARNING: on another machine/);
  for (const config of ['', '[router]\nsam = "127.0.0.1:7656"\n', '[router]\nsam = "[::1]:7656"\n']) {
    assert.deepEqual(warnings(bannerOf(config)), []);
  }
});
