/** What the verbs print where a gateway, or whoever sits in its place, fills every field that is open with hostile text. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { exposure } from '../../../src/cli/exposure.ts';
import { ping } from '../../../src/cli/ping.ts';
import { reload } from '../../../src/cli/reload.ts';
import { peers, type StatusOptions, status } from '../../../src/cli/status.ts';
import { createTerminal } from '../../../src/cli/terminal.ts';
import { parseExposure } from '../../../src/control/exposure.ts';
import { type ControlSubject, createMethodRegistry } from '../../../src/control/methods.ts';
import { parsePing } from '../../../src/control/ping.ts';
import { parseReload } from '../../../src/control/reload.ts';
import { parseStatus } from '../../../src/control/status.ts';
import { systemClock } from '../../../src/io/clock.ts';
import { ControlServer } from '../../../src/io/control-socket.ts';
import { SYSTEM_PATHS } from '../../../src/io/paths.ts';
import { silentLogger } from '../../../src/kit/log.ts';
import { sampleExposure, samplePing, sampleReload, sampleReport } from '../control/sample-report.ts';

/** A colour, the same by one character, text that runs backwards, and a line of its own. */
const HOSTILE = '\u001b[31m\u009b2J\u202e\u2066evil\r\n\u2028health: all well';
const NEVER = new AbortController().signal;

/** The answer with the hostile text behind each string that its reader lets be any. */
function poisoned<T>(answer: T, parse: (value: unknown) => T | undefined): T {
  let last = answer;
  for (let nth = 0, isOver = false; !isOver; nth += 1) {
    let left = nth;
    isOver = true;
    const candidate: unknown = JSON.parse(JSON.stringify(last), (_key, value: unknown) => {
      if (typeof value !== 'string' || left-- !== 0) return value;
      isOver = false;
      return `${value}${HOSTILE}`;
    });
    last = parse(candidate) ?? last;
  }
  return last;
}

/** What each verb prints, as text and as JSON. */
async function shown(subject: ControlSubject): Promise<ReadonlyMap<string, string>> {
  const directory = mkdtempSync(join(tmpdir(), 'garligate-hostile-'));
  const socket = join(directory, 'run', 's');
  const methods = createMethodRegistry(subject);
  const server = new ControlServer({ path: socket, mode: 0o600, methods, clock: systemClock, log: silentLogger });
  await server.start();
  const printed = new Map<string, string>();
  try {
    for (const json of [false, true]) {
      const options: StatusOptions = { socket, json, reveal: true };
      for (const [verb, run] of Object.entries({
        status,
        peers,
        exposure,
        reload,
        ping: ping.bind(undefined, 'alice'),
      })) {
        let text = '';
        const output = {
          write: (more: string) => {
            text += more;
          },
        };
        await run(options, SYSTEM_PATHS, createTerminal(output, output), NEVER);
        printed.set(`${verb}${json ? ' --json' : ''}`, text);
      }
    }
  } finally {
    await server.stop();
    rmSync(directory, { recursive: true });
  }
  return printed;
}

test('whatever stands in any field of an answer, it cannot move the cursor, turn text around, or begin a line', async () => {
  const printed = await shown({
    status: () => poisoned(sampleReport(), parseStatus),
    exposure: () => poisoned(sampleExposure(), parseExposure),
    ping: async () => poisoned(samplePing(), parsePing),
    reload: async () => poisoned(sampleReload(), parseReload),
  });
  assert.equal(printed.size, 10);
  for (const [verb, text] of printed) {
    assert.match(text, /evil/, verb);
    assert.doesNotMatch(text, /(?!\n)[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u, verb);
    assert.doesNotMatch(text, /^health: all well/m, verb);
  }
});
