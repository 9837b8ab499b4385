/** `npm run bench -- NAME`: runs one of the measurements and prints its tables. Knows nothing of what they measure. */
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { isRoot, main, SetUpError } from '../scripts/lib/command.mjs';
import { benchSocks, printSocksReport } from './socks.ts';
import { benchSocksLab, printSocksLabReport } from './socks-lab.ts';

const USAGE = `npm run bench -- socks    the SOCKS front: on loopback against microsocks and dante, and, as root, on the
                         lab against i2pd's own SOCKS proxy
  --rounds N        rounds of every load (5)
  --seconds N       of each load on loopback (3)
  --idle N          idle connections for the memory figure, 0 for none (9000)
  --lab-rounds N    rounds on the lab, 0 for none (4)
  --json FILE       writes every sample there as JSON`;

const note = (text: string) => console.error(text);

await main(async () => {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      rounds: { type: 'string', default: '5' },
      seconds: { type: 'string', default: '3' },
      idle: { type: 'string', default: '9000' },
      'lab-rounds': { type: 'string', default: '4' },
      json: { type: 'string' },
    },
  });
  if (positionals.length !== 1 || positionals[0] !== 'socks') throw new SetUpError(USAGE);
  const rounds = wholeNumber('rounds', values.rounds, 0, 100);
  const seconds = wholeNumber('seconds', values.seconds, 1, 60);
  const idle = wholeNumber('idle', values.idle, 0, 9000);
  const labRounds = wholeNumber('lab-rounds', values['lab-rounds'], 0, 100);

  const loopback = rounds === 0 ? undefined : await benchSocks({ rounds, seconds, idle, note });
  if (loopback !== undefined) console.log(printSocksReport(loopback));
  if (labRounds > 0 && !isRoot()) note('The half on the lab is left out: it needs root.');
  const lab = labRounds > 0 && isRoot() ? await benchSocksLab({ rounds: labRounds, note }) : undefined;
  if (lab !== undefined) console.log(printSocksLabReport(lab));
  if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify({ loopback, lab }, undefined, 2)}\n`);
});

function wholeNumber(name: string, text: string, least: number, most: number): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= least && value <= most) return value;
  throw new SetUpError(`--${name} must be a whole number from ${least} to ${most}, not ${text}`);
}
