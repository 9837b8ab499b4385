/** Keepalives of peers: any bytes can be read, and what was read is what stands there. */
import { addressesOf } from '../../../src/wire/i2p/address.ts';
import { parseB32 } from '../../../src/wire/i2p/destination.ts';
import { flowLabelOf } from '../../../src/wire/packet/ipv6.ts';
import { encodeKeepalive, isKeepalive, parseKeepalive } from '../../../src/wire/packet/keepalive.ts';
import { inProcess } from '../engine.ts';

const NAME = parseB32('j3dtidfppd6mkxecq6cz7raw44auavkmihlvuqb4fea7qcwuqtua');
const { oc } = addressesOf(NAME);

function encoded(announcement: ReturnType<typeof parseKeepalive>['announcement'], flowLabel = 7): Buffer {
  return encodeKeepalive({ source: oc, destination: oc, flowLabel, name: NAME, announcement });
}

export const target = inProcess({
  name: 'keepalive',
  seeds: [
    encoded(undefined),
    encoded({ wantsAnswer: true, knowsFlows: false }),
    encoded({ wantsAnswer: false, knowsFlows: true, mtu: 1280 }),
    encoded({
      wantsAnswer: true,
      knowsFlows: true,
      takesBig: true,
      mtu: 0xffff,
      measurement: { stamp: 1, echo: 2, received: 3 },
    }),
    encoded(undefined).subarray(0, 40),
  ],
  run: (input) => {
    isKeepalive(input, 0);
    const { announcement } = parseKeepalive(input);
    const again = parseKeepalive(encoded(announcement, input.length >= 4 ? flowLabelOf(input) : 0)).announcement;
    if (JSON.stringify(again) !== JSON.stringify(announcement)) {
      throw new Error(`${JSON.stringify(announcement)} was read, and ${JSON.stringify(again)} when written again`);
    }
  },
});
