/**
 * The fake bridge against recordings of three real routers: every recorded command whose circumstances a fake can have is
 * said to it again, and it has to answer the same, byte for byte but for the keys.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { decodeBase64 } from '../../../src/wire/i2p/base64.ts';
import { FakeBridge } from '../../helpers/fake-bridge/bridge.ts';
import { generateKeys } from '../../helpers/fake-bridge/keys.ts';
import { FakeNetwork } from '../../helpers/fake-bridge/network.ts';
import { TEMPERAMENTS, type TemperamentName } from '../../helpers/fake-bridge/temperament.ts';
import { SamClient } from '../../helpers/sam-client.ts';
import { until } from '../../helpers/until.ts';

const RECORDINGS: Readonly<Record<TemperamentName, string>> = {
  'i2pd-2.45': 'i2pd-2.45.1.txt',
  'i2pd-2.59': 'i2pd-2.59.0.txt',
  java: 'java-i2p.txt',
};

const STARTING = 'the recorded router was still starting, and a fake never is';
/** Commands whose recorded answer the fake does not give, and why. */
const NOT_REPLAYED: ReadonlyArray<readonly [name: TemperamentName, start: string, why: string]> = [
  ['java', 'SESSION CREATE STYLE=STREAM ID=a/1', STARTING],
  ['java', 'SESSION CREATE STYLE=DATAGRAM', STARTING],
];

/** Silence that was recorded as `<timeout>`. */
const SILENCE_MS = 40;
const HELLO = 'HELLO VERSION MIN=3.0 MAX=3.3';
const GENERATE = 'DEST GENERATE SIGNATURE_TYPE=7';

interface Recorded {
  readonly command: string;
  readonly replies: readonly string[];
  readonly state: string;
}

function readRecording(name: TemperamentName): { readonly commands: readonly Recorded[]; readonly streams: string } {
  const url = new URL(`../../fixtures/sam-replies/${RECORDINGS[name]}`, import.meta.url);
  const [single = '', streams = ''] = readFileSync(url, 'utf8').split('\n# streams\n');
  const commands = single
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => {
      const [command = '', replies = '', state = ''] = line.split(/ +\| (?!\|)/);
      return { command, replies: replies.split(' || '), state };
    });
  return { commands, streams };
}

/** A recorded line holds at most the beginning of a key, and the length of the whole line. */
function assertReply(actual: string, recorded: string): void {
  const [, beginning, length] = /^(.*?)[A-Za-z0-9~-]{20,}(?:\.\.\.)?…\((\d+)\)$/.exec(recorded) ?? [];
  if (beginning === undefined) {
    assert.equal(actual, recorded);
  } else {
    assert.equal(actual.slice(0, beginning.length), beginning);
    assert.equal(actual.length, Number(length));
  }
}

async function assertState(client: SamClient, recorded: string): Promise<void> {
  if (recorded === 'open') {
    await pause(5);
    assert.equal(client.ended, 'open');
  } else {
    // The reset in the recordings depends on whether the router had unread bytes at that moment.
    await client.end();
  }
}

/** What was sent under a name that is not itself the command: each text is one segment. */
const SCRIPTS: Readonly<Record<string, readonly string[]>> = {
  'lower-case hello': [`${HELLO.toLowerCase().replace('min', 'MIN').replace('max', 'MAX')}\n`],
  garbage: ['garbage\n'],
  'HELLO with CRLF': ['HELLO VERSION MIN=3.0 MAX=3.1\r\n'],
  'two-segment HELLO': ['HELLO VERSION MIN=3.0 ', 'MAX=3.1\n'],
  'pipelined HELLO+DEST GENERATE (1 segment)': [`HELLO VERSION MIN=3.0 MAX=3.1\n${GENERATE}\n`],
  'pipelined 2 cmds after HELLO': [`${HELLO}\n`, `NAMING LOOKUP NAME=ME\n${GENERATE}\n`],
  'no newline then newline': [`${HELLO}\n`, GENERATE, '\n'],
};

async function replay(client: SamClient, { command, replies }: Recorded, reads: 'segments' | 'lines'): Promise<void> {
  const script = SCRIPTS[command];
  if (script !== undefined) {
    const [first = '', ...more] = script;
    client.send(first);
    // i2pd answers the first segment whatever it holds; Java I2P does not, and does not mind if segments meet.
    if (reads === 'segments')
      await until('the answer to the first segment', () => client.received.includes('\n') || client.ended !== 'open');
    else await pause(SILENCE_MS);
    for (const segment of more) client.send(segment);
    for (const reply of replies) assertReply(await client.line(patience(reply)), reply);
    return;
  }
  if (command.startsWith('HELLO')) {
    assertReply(await client.ask(command), replies[0] ?? '');
    return;
  }
  const hello = await client.ask(HELLO);
  if (command.startsWith('DEST GENERATE')) {
    assertGenerated(await client.ask(command), replies[0] ?? '');
    return;
  }
  // The third reply is the answer to another command that the recorder sent to see whether anybody listens.
  const [first = '', second = '', third] = replies;
  assertReply(hello, first);
  assertReply(await client.ask(command, patience(second)), second);
  if (third !== undefined) assertReply(await client.ask(GENERATE, patience(third)), third);
}

function patience(reply: string): number | undefined {
  return reply === '<timeout>' ? SILENCE_MS : undefined;
}

/** The recorder wrote down sizes and the certificate. */
function assertGenerated(reply: string, recorded: string): void {
  const [, destination, blob] = /^DEST REPLY PUB=(\S+) PRIV=(\S+)$/.exec(reply) ?? [];
  if (destination === undefined || blob === undefined) {
    assert.equal(reply, recorded);
    return;
  }
  const bytes = decodeBase64(destination);
  assert.ok(blob.startsWith(destination.slice(0, 512)));
  const sizes = `pub b64 ${destination.length} bin ${bytes.length} priv b64 ${blob.length} bin ${decodeBase64(blob).length}`;
  // What follows the first seven bytes of a certificate is part of the key.
  const [recordedSizes = '', certificate = ''] = recorded.split(' cert ');
  assert.equal(sizes, recordedSizes);
  assert.equal(bytes.subarray(384, 391).toString('hex'), certificate.slice(0, 14));
}

for (const name of Object.keys(RECORDINGS) as TemperamentName[]) {
  const { commands, streams } = readRecording(name);
  const skipped = NOT_REPLAYED.filter(([other]) => other === name);

  describe(`${name} answers as recorded`, { concurrency: 8 }, () => {
    for (const recorded of commands) {
      if (skipped.some(([, start]) => recorded.command.startsWith(start))) continue;
      test(recorded.command, async () => {
        const network = new FakeNetwork();
        const bridge = await FakeBridge.start({ network, temperament: name, timing: 'as recorded' });
        const client = new SamClient(bridge.address);
        try {
          await replay(client, recorded, TEMPERAMENTS[name].reads);
          await assertState(client, recorded.state);
        } finally {
          client.destroy();
          await bridge.stop();
        }
      });
    }
  });

  describe(`${name} refuses streams and sessions as recorded`, { concurrency: 8 }, () => {
    const lines = [
      ...streams.matchAll(/^connect ([a-z0-9]+(?: [a-z0-9!]+)*) +(<timeout>|STREAM STATUS .*) \d+ ms (\w+)$/gm),
    ];
    assert.equal(lines.length, 9);
    for (const [, what = '', reply = '', state = ''] of lines) {
      test(`STREAM CONNECT: ${what}`, () =>
        withSession(name, async (bridge, id) => {
          const client = new SamClient(bridge.address);
          await client.ask(HELLO);
          const destination = DESTINATIONS[what]?.(bridge.sessions[0]?.destination ?? '');
          assert.ok(destination !== undefined, `nobody knows what was sent for ${what}`);
          const command = `STREAM CONNECT ID=${id} DESTINATION=${destination} SILENT=false`;
          assertReply(await client.ask(command, patience(reply)), withName(reply, destination));
          await assertState(client, state);
          client.destroy();
        }));
    }

    const refusals = [
      ...streams.matchAll(
        /^(dup id|2nd SESSION CREATE on same socket|STREAM CONNECT on control socket|dup dest): (.*) \w+$/gm,
      ),
    ];
    assert.ok(refusals.length >= 4);
    // The state is not compared: the recorder looked before i2pd had closed what it had just refused.
    for (const [, what = '', reply = ''] of refusals) {
      test(what, () =>
        withSession(name, (bridge, id, control, blob) => assertRefusal(bridge, what, reply, id, control, blob)),
      );
    }
  });
}

async function assertRefusal(
  bridge: FakeBridge,
  what: string,
  reply: string,
  id: string,
  control: SamClient,
  blob: string,
) {
  const other = new SamClient(bridge.address);
  await other.ask(HELLO);
  const ask = () => {
    switch (what) {
      case 'dup id':
        return other.ask(`SESSION CREATE STYLE=STREAM ID=${id} DESTINATION=TRANSIENT SIGNATURE_TYPE=7`);
      case 'dup dest':
        return other.ask(`SESSION CREATE STYLE=STREAM ID=other DESTINATION=${blob}`);
      case '2nd SESSION CREATE on same socket':
        return control.ask('SESSION CREATE STYLE=STREAM ID=other DESTINATION=TRANSIENT SIGNATURE_TYPE=7');
      default:
        return control.ask(`STREAM CONNECT ID=${id} DESTINATION=x SILENT=false`);
    }
  };
  const actual = await ask();
  const [, start] = /^(SESSION STATUS RESULT=I2P_ERROR MESSAGE=".{30}).*…/.exec(reply) ?? [];
  if (start === undefined) assertReply(actual, reply);
  else assert.equal(actual.slice(0, start.length), start);
  other.destroy();
}

/** What the recorder sent as DESTINATION. The lengths are those of the recorded replies. */
const DESTINATIONS: Readonly<Record<string, (own: string) => string>> = {
  'unknown dest': () => generateKeys().destination.base64,
  self: (own) => own,
  'bad b64': () => 'abcd',
  'bad b64 !': (own) => `${own.slice(0, 100)}!${own.slice(101)}`,
  'unknown b32': () => `${'a'.repeat(52)}.b32.i2p`,
  'bad b32': () => `${'a1'.repeat(26)}.b32.i2p`,
  'unknown host': () => 'nosuchhost.i2p',
  trunc: (own) => own.slice(0, 300),
  empty: () => '',
};

/** Java I2P quotes a destination, of which the recording holds only the beginning: that of another key than ours. */
function withName(reply: string, destination: string): string {
  const [, beginning, length] =
    /^(.*MESSAGE="(?:Bad Base64 dest|Host name not found): )[A-Za-z0-9~-]{20,}\.\.\..*\((\d+)\)$/.exec(reply) ?? [];
  if (beginning === undefined) return reply;
  const whole = `${beginning}${destination}"`;
  assert.equal(whole.length, Number(length));
  return whole;
}

async function withSession(
  name: TemperamentName,
  run: (bridge: FakeBridge, id: string, control: SamClient, blob: string) => Promise<void>,
): Promise<void> {
  const network = new FakeNetwork();
  const bridge = await FakeBridge.start({ network, temperament: name });
  const control = new SamClient(bridge.address);
  try {
    await control.ask(HELLO);
    const { blob } = generateKeys();
    const reply = await control.ask(`SESSION CREATE STYLE=STREAM ID=one DESTINATION=${blob}`);
    assert.equal(reply, `SESSION STATUS RESULT=OK DESTINATION=${blob}`);
    await run(bridge, 'one', control, blob);
  } finally {
    control.destroy();
    await bridge.stop();
  }
}

test('every recording that is left out is there to be left out', () => {
  for (const [name, start, why] of NOT_REPLAYED) {
    assert.ok(
      readRecording(name).commands.some(({ command }) => command.startsWith(start)),
      `${start}: ${why}`,
    );
  }
  assert.deepEqual(Object.keys(RECORDINGS), Object.keys(TEMPERAMENTS));
});
