/** `npm run bench [NAME ...]`: runs the measurements and prints their tables. Knows nothing of what they measure. */
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { isRoot, main, SetUpError } from '../scripts/lib/command.mjs';
import { benchSocks, printSocksReport } from './socks.ts';
import { benchSocksLab, printSocksLabReport } from './socks-lab.ts';
import { benchTunnel, drawTunnelReport, printTunnelReport } from './tunnel.ts';
import { benchTunnelLab, printTunnelLabReport } from './tunnel-lab.ts';
import { benchTunnelScale, printTunnelScaleReport } from './tunnel-scale.ts';
import { benchVpn, MEGABYTE_LINE, printVpnReport } from './vpn.ts';
import { benchVpnLab, printVpnLabReport, type VpnLabReport } from './vpn-lab.ts';
import { benchVpnPeers, printVpnPeersReport } from './vpn-peers.ts';

const USAGE = `npm run bench                every measurement below
npm run bench -- tunnel      the data path of the VPN against a relay that moves packet by packet, wireguard-go and a
                             bare cable, beside 1 to 1,000 peers, and over the lab's routers; needs root
npm run bench -- vpn         bulk transfers and small packets side by side: on a line of 1 MB/s against that relay,
                             and on the lab, bare and over a line like I2P's, against a bare SAM stream; needs root
npm run bench -- socks       the SOCKS front: on loopback against microsocks and dante, and, as root, on the lab against
                             i2pd's own SOCKS proxy
  --quick           in less than two minutes: figures to look at, not to quote, and without those of many peers or
                    connections
  --rounds N        rounds of every load (5)
  --seconds N       of each load (3)
  --idle N          idle connections for the memory figure, 0 for none (9000)
  --lab-rounds N    rounds on the lab, 0 for none (4)
  --json FILE       writes every sample there as JSON
  --picture FILE    draws the tunnel's figures there as SVG`;

const MEASUREMENTS = ['tunnel', 'vpn', 'socks'] as const;
const USUAL = { rounds: 5, seconds: 3, idle: 9000, labRounds: 4, slowLineFactor: 5, settleSeconds: 4 };
const LINE_LIKE_I2P = { roundTripMs: 800, bytesPerSecond: 100_000, loss: 0.01, seed: 1 };
/** A flow on a slow line changes over seconds: quick figures of one say little. */
const QUICK = { rounds: 1, seconds: 1, idle: 0, labRounds: 0, slowLineFactor: 1, settleSeconds: 1 };

const note = (text: string) => console.error(text);

await main(async () => {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      quick: { type: 'boolean', default: false },
      rounds: { type: 'string' },
      seconds: { type: 'string' },
      idle: { type: 'string' },
      'lab-rounds': { type: 'string' },
      json: { type: 'string' },
      picture: { type: 'string' },
    },
  });
  const unknown = positionals.find((word) => !MEASUREMENTS.some((name) => name === word));
  if (unknown !== undefined) throw new SetUpError(`There is no measurement "${unknown}".\n${USAGE}`);
  const wanted = (name: (typeof MEASUREMENTS)[number]) => positionals.length === 0 || positionals.includes(name);
  const usual = values.quick ? QUICK : USUAL;
  const rounds = wholeNumber('rounds', values.rounds, usual.rounds, 0, 100);
  const seconds = wholeNumber('seconds', values.seconds, usual.seconds, 1, 60);
  const idle = wholeNumber('idle', values.idle, usual.idle, 0, 9000);
  const labRounds = wholeNumber('lab-rounds', values['lab-rounds'], usual.labRounds, 0, 100);

  const withRoot = (what: string) => {
    if (!isRoot()) note(`${what} is left out: it needs root.`);
    return isRoot();
  };
  const tunnel =
    wanted('tunnel') && rounds > 0 && withRoot('The tunnel')
      ? await benchTunnel({ rounds, seconds, quick: values.quick, note })
      : undefined;
  if (tunnel !== undefined) console.log(printTunnelReport(tunnel));
  const tunnelScale =
    wanted('tunnel') && rounds > 0 && isRoot() && !values.quick
      ? await benchTunnelScale({ rounds, seconds, note })
      : undefined;
  if (tunnelScale !== undefined) console.log(printTunnelScaleReport(tunnelScale));
  const tunnelLab =
    wanted('tunnel') && labRounds > 0 && isRoot()
      ? await benchTunnelLab({ rounds: labRounds, seconds, note })
      : undefined;
  if (tunnelLab !== undefined) console.log(printTunnelLabReport(tunnelLab));
  const vpn =
    wanted('vpn') && rounds > 0 && withRoot('The VPN on a slow line')
      ? await benchVpn({ rounds, seconds: seconds * usual.slowLineFactor, settleSeconds: usual.settleSeconds, note })
      : undefined;
  if (vpn !== undefined) console.log(printVpnReport(vpn));
  const vpnPeers =
    wanted('vpn') && rounds > 0 && isRoot() && !values.quick
      ? await benchVpnPeers({ starts: rounds, line: MEGABYTE_LINE, note })
      : undefined;
  if (vpnPeers !== undefined) console.log(printVpnPeersReport(vpnPeers));
  const vpnLab: VpnLabReport[] = [];
  for (const line of wanted('vpn') && labRounds > 0 && isRoot() ? [undefined, LINE_LIKE_I2P] : []) {
    const report = await benchVpnLab({ rounds: labRounds, line, note });
    vpnLab.push(report);
    console.log(printVpnLabReport(report));
  }
  const loopback =
    wanted('socks') && rounds > 0 ? await benchSocks({ rounds, seconds, idle, quick: values.quick, note }) : undefined;
  if (loopback !== undefined) console.log(printSocksReport(loopback));
  const lab =
    wanted('socks') && labRounds > 0 && withRoot('The half of SOCKS on the lab')
      ? await benchSocksLab({ rounds: labRounds, note })
      : undefined;
  if (lab !== undefined) console.log(printSocksLabReport(lab));
  const report = { tunnel, tunnelScale, tunnelLab, vpn, vpnPeers, vpnLab, loopback, lab };
  if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(report)}\n`);
  if (values.picture !== undefined && tunnel !== undefined) writeFileSync(values.picture, drawTunnelReport(tunnel));
});
// What was interrupted may still wait for something.
process.exit();

function wholeNumber(name: string, text: string | undefined, usual: number, least: number, most: number): number {
  const value = text === undefined ? usual : Number(text);
  if (Number.isInteger(value) && value >= least && value <= most) return value;
  throw new SetUpError(`--${name} must be a whole number from ${least} to ${most}, not ${text}`);
}
