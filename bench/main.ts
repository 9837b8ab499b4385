/** `npm run bench -- NAME`: runs one of the measurements and prints its tables. Knows nothing of what they measure. */
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { main, SetUpError } from '../scripts/lib/command.mjs';
import { benchSocks, printSocksReport } from './socks.ts';

const USAGE = `npm run bench -- socks    the SOCKS relay on loopback against microsocks and dante
  --rounds N    rounds of every load (5)
  --seconds N   of each load (3)
  --idle N      idle connections for the memory figure (9000)
  --json FILE   writes every sample there as JSON`;

await main(async () => {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      rounds: { type: 'string', default: '5' },
      seconds: { type: 'string', default: '3' },
      idle: { type: 'string', default: '9000' },
      json: { type: 'string' },
    },
  });
  if (positionals.length !== 1 || positionals[0] !== 'socks') throw new SetUpError(USAGE);
  const options = {
    rounds: wholeNumber('rounds', values.rounds, 1, 100),
    seconds: wholeNumber('seconds', values.seconds, 1, 60),
    idle: wholeNumber('idle', values.idle, 0, 9000),
    note: (text: string) => console.error(text),
  };
  const report = await benchSocks(options);
  if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(report, undefined, 2)}\n`);
  console.log(printSocksReport(report));
});

function wholeNumber(name: string, text: string, least: number, most: number): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= least && value <= most) return value;
  throw new SetUpError(`--${name} must be a whole number from ${least} to ${most}, not ${text}`);
}
