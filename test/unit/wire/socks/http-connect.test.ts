/** HTTP CONNECT on the SOCKS port: what is a request, what is none, and that no split of the bytes changes either. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { socksMachine } from '../../../../src/wire/socks/handshake.ts';
import { describe, feed, oneByOne, spaced } from './feed.ts';

const BOTH = { httpConnect: true };
const basic = (text: string) => `Basic ${Buffer.from(text, 'latin1').toString('base64')}`;
const head = (first: string, ...fields: string[]) => [first, ...fields, '', ''].join('\r\n');
const CONNECT = 'CONNECT a.i2p:80 HTTP/1.1';
const long = (length: number) => 'x'.repeat(length);

const GRANTED: ReadonlyArray<readonly [what: string, text: string, means: object]> = [
  ['the request of curl', head(CONNECT, 'Host: a.i2p:80', 'User-Agent: curl/8', 'Proxy-Connection: Keep-Alive'), {}],
  ['the request of OpenBSD nc', head('CONNECT a.i2p:80 HTTP/1.0'), {}],
  ['an address in brackets', head('CONNECT [fd60:db4d:ddb5::1]:80 HTTP/1.1'), { name: '[fd60:db4d:ddb5::1]' }],
  ['the highest port', head('CONNECT a.i2p:65535 HTTP/1.1'), { port: 65_535 }],
  ['a Host field that names another host: it means nothing', head(CONNECT, 'Host: evil.example'), {}],
  ['credentials', head(CONNECT, `Proxy-Authorization: ${basic('u:p')}`), { user: '75', password: '70' }],
  ['a password with a colon', head(CONNECT, `proxy-authorization:${basic('u:p:')}`), { user: '75', password: '70 3a' }],
  ['empty credentials, which count', head(CONNECT, `Proxy-Authorization: ${basic(':')}  `), { user: '', password: '' }],
  ['an empty body', head(CONNECT, 'Content-Length: 0'), {}],
  ['a host of 255 bytes', head(`CONNECT ${long(255)}:80 HTTP/1.1`), { name: long(255) }],
];

for (const [what, text, means] of GRANTED) {
  test(`HTTP CONNECT: ${what} is understood at every split, and what comes behind it is kept`, () => {
    const bytes = Buffer.from(`${text}\0early`, 'latin1');
    const splits = [oneByOne(bytes)];
    for (let at = 0; at <= bytes.length; at += 1) splits.push([bytes.subarray(0, at), bytes.subarray(at)]);
    for (const chunks of splits) {
      const { sent, out, rest } = feed(socksMachine(BOTH), chunks);
      assert.deepEqual(describe(out), { kind: 'http', name: 'a.i2p', port: 80, ...means });
      assert.deepEqual([spaced(sent), String(rest)], ['', '\0early']);
    }
  });

  test(`HTTP CONNECT: ${what} is not understood a byte earlier`, () => {
    for (let length = 0; length < text.length; length += 1) {
      assert.equal(feed(socksMachine(BOTH), [Buffer.from(text.slice(0, length))]).out, undefined);
    }
  });
}

const REFUSED: ReadonlyArray<readonly [what: string, text: string]> = [
  ['another method with the same initial', head('COPY a.i2p:80 HTTP/1.1')],
  ['a lower-case method', head('CONNECt a.i2p:80 HTTP/1.1')],
  ['no port', head('CONNECT a.i2p HTTP/1.1')],
  ['port 0', head('CONNECT a.i2p:0 HTTP/1.1')],
  ['port 65536', head('CONNECT a.i2p:65536 HTTP/1.1')],
  ['a port that is no number', head('CONNECT a.i2p:http HTTP/1.1')],
  ['no host', head('CONNECT :80 HTTP/1.1')],
  ['a host of 256 bytes', head(`CONNECT ${long(256)}:80 HTTP/1.1`)],
  ['a URL', head('CONNECT http://a.i2p:80/ HTTP/1.1')],
  ['a user before the host', head('CONNECT u@a.i2p:80 HTTP/1.1')],
  ['HTTP/2', head('CONNECT a.i2p:80 HTTP/2.0')],
  ['no version', head('CONNECT a.i2p:80')],
  ['two blanks', head('CONNECT  a.i2p:80 HTTP/1.1')],
  ['a line that ends with LF alone', 'CONNECT a.i2p:80 HTTP/1.1\n\n'],
  ['a header line that ends with LF alone', `${CONNECT}\r\nHost: a\n\r\n`],
  ['a CR in the middle of a line', head(CONNECT, 'Host: a\rb')],
  ['a folded line', head(CONNECT, 'Host: a', ' b')],
  ['a field without a colon', head(CONNECT, 'Host')],
  ['a blank before the colon', head(CONNECT, 'Host : a')],
  ['a zero byte in a field', head(CONNECT, 'Host: a\0')],
  ['a body', head(CONNECT, 'Content-Length: 5')],
  ['a chunked body', head(CONNECT, 'Transfer-Encoding: chunked')],
  [
    'two Proxy-Authorization fields',
    head(CONNECT, ...['u:p', 'u:p'].map((one) => `Proxy-Authorization: ${basic(one)}`)),
  ],
  ['a scheme that is not Basic', head(CONNECT, 'Proxy-Authorization: Digest username="u"')],
  ['credentials without a colon', head(CONNECT, `Proxy-Authorization: ${basic('user')}`)],
  ['credentials that are no base64', head(CONNECT, 'Proxy-Authorization: Basic dTpw!')],
  ['a user of 256 bytes', head(CONNECT, `Proxy-Authorization: ${basic(`${long(256)}:p`)}`)],
  ['a header of more than 8 KiB in one line', head(CONNECT, `X: ${long(8192)}`)],
  ['a header of more than 8 KiB in many lines', head(CONNECT, ...Array.from({ length: 100 }, () => `X: ${long(90)}`))],
];

for (const [what, text] of REFUSED) {
  test(`HTTP CONNECT: ${what} is answered 400, at every split`, () => {
    const bytes = Buffer.from(text, 'latin1');
    const steps = Math.max(1, Math.ceil(bytes.length / 200));
    const splits = [oneByOne(bytes)];
    for (let at = 0; at <= bytes.length; at += steps) splits.push([bytes.subarray(0, at), bytes.subarray(at)]);
    for (const chunks of splits) {
      const told: object = describe(feed(socksMachine(BOTH), chunks).out);
      assert.match(JSON.stringify(told), /"HTTP\/1\.1 400 Bad Request.*"code":"socks\.http-request"/);
    }
  });
}

test('HTTP CONNECT: a listener without it answers the page, as to every other method', () => {
  const { out } = feed(socksMachine({ httpConnect: false }), [Buffer.from(head(CONNECT))]);
  assert.deepEqual(out, { kind: 'http' });
});

for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'HEAD', 'DELETE', 'OPTIONS', 'TRACE']) {
  test(`HTTP CONNECT: ${method} makes nothing happen, whatever its target, Host and body say`, () => {
    const request = `${method} http://a.i2p:80/ HTTP/1.1\r\nHost: a.i2p:80\r\n\r\n${head(CONNECT)}`;
    const { out, sent } = feed(socksMachine(BOTH), [Buffer.from(request)]);
    assert.deepEqual([out, sent.length], [{ kind: 'http' }, 0]);
  });
}

test('property: any bytes in any split mean the same, and none are held beyond 8 KiB', () => {
  const pieces = fc.constantFrom(
    'CONNECT ',
    'a.i2p',
    ':80',
    ' HTTP/1.1',
    '\r\n',
    '\r',
    '\n',
    'Host: a',
    ' ',
    '\0',
    long(3000),
  );
  fc.assert(
    fc.property(fc.array(pieces, { maxLength: 12 }), fc.array(fc.nat(9000), { maxLength: 5 }), (parts, cuts) => {
      const bytes = Buffer.from(`C${parts.join('')}`, 'latin1');
      const places = [0, ...cuts.map((cut) => Math.min(cut, bytes.length)).sort((a, b) => a - b), bytes.length];
      const whole = feed(socksMachine(BOTH), [bytes]);
      const split = feed(
        socksMachine(BOTH),
        places.slice(1).map((end, at) => bytes.subarray(places[at], end)),
      );
      assert.deepEqual(describe(split.out), describe(whole.out));
      if (bytes.length > 8200) assert.notEqual(whole.out, undefined);
    }),
    { numRuns: 300 },
  );
});
