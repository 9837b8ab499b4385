/** What becomes known of an i2pd of our own that ends, with a stub in its place; the real one is seen in test/net/router.test.ts. */
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { systemClock } from '../../../src/io/clock.ts';
import { usualSearchPath } from '../../../src/io/router.ts';
import { ManagedRouter } from '../../../src/io/router-i2pd.ts';
import { silentLogger } from '../../../src/kit/log.ts';
import { until } from '../../helpers/until.ts';

const MARK = 'somebody-asked-for-this.i2p';
const PATIENCE_MS = 20_000;
/** In Perl, which every Debian has, and which the user that the router is may run wherever our Node lies. */
const LISTEN = `
use IO::Socket::INET;
my ($port) = map { /^--sam[.]port=(\\d+)$/ } @ARGV;
my $bridge = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $port, Listen => 1) or die "no port";
$bridge->accept;
`;

/** @returns why there is no router after the first run, as `status` says it, of an i2pd that is this program */
async function whyItEnded(script: string): Promise<string> {
  const place = mkdtempSync(join(tmpdir(), 'garligate-router-'));
  chmodSync(place, 0o755);
  mkdirSync(join(place, 'bin'));
  writeFileSync(join(place, 'bin/i2pd'), `#!/usr/bin/perl\n${script}`);
  chmodSync(join(place, 'bin/i2pd'), 0o755);
  const router = new ManagedRouter({
    directory: join(place, 'router'),
    gatewayUser: undefined,
    searchPath: `${join(place, 'bin')}:${usualSearchPath()}`,
    extraArguments: [],
    udp: { kind: 'off' },
    clock: systemClock,
    log: silentLogger,
    random: () => 0.5,
  });
  try {
    await router.start();
    // A stub that listens is left waiting for us, so that it has been seen to listen before it ends.
    const opening = router.bridge.open(AbortSignal.timeout(PATIENCE_MS)).then(
      (stream) => stream.destroy(),
      () => {},
    );
    let why = '';
    const hasEnded = () => {
      const state = router.state();
      if (state.kind === 'none') why = state.why;
      return why !== '';
    };
    await until('it has ended', hasEnded, PATIENCE_MS);
    await router.stop();
    await opening;
    return why;
  } finally {
    await router.stop();
    rmSync(place, { recursive: true });
  }
}

test('what an i2pd says that ends before its bridge listens is told: it is why there is no router', async () => {
  assert.match(await whyItEnded(`print "${MARK}\\n"; exit 3;`), new RegExp(`it ended with code 3: ${MARK}$`));
});

test('what an i2pd says that ends after its bridge has listened is told to nobody', async () => {
  assert.match(await whyItEnded(`${LISTEN} print "${MARK}\\n"; exit 3;`), /it ended with code 3$/);
});
