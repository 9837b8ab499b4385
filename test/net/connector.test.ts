/** The connector against a real kernel: what its errors become. */
import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { kernelConnector } from '../../src/io/connector.ts';
import { type ErrorKind, GateError } from '../../src/kit/errors.ts';
import { type Address, toAddress } from '../../src/wire/i2p/address.ts';
import { declareScenarios } from './namespace.ts';

const NEVER = new AbortController().signal;
const HERE = address(1);
const ELSEWHERE = address(2);
const WITH_ADDRESS = 'ip -6 addr add fd60:db4d:ddb5::1/128 dev lo';

function address(last: number): Address {
  return toAddress(Buffer.concat([Buffer.from('fd60db4dddb5', 'hex'), Buffer.alloc(9), Buffer.of(last)]));
}

function fails(kind: ErrorKind): (error: unknown) => boolean {
  return (error) => error instanceof GateError && error.kind === kind;
}

await declareScenarios(import.meta.filename, {
  'a connection is paused and may half-close': {
    prepare: WITH_ADDRESS,
    run: async () => {
      const server = createServer({ allowHalfOpen: true }, (client) => {
        client.on('end', () => client.end('answer')).resume();
      });
      await new Promise<void>((resolve) => server.listen(8080, '::', resolve));
      const stream = await kernelConnector.connect(HERE, 8080, NEVER);
      assert.equal(stream.readableFlowing, false);
      stream.end('question');
      const answer = await new Promise((resolve) => stream.once('data', resolve).resume());
      assert.equal(String(answer), 'answer');
      server.close();
    },
  },
  'a closed port is a refusal': {
    prepare: WITH_ADDRESS,
    run: () => assert.rejects(kernelConnector.connect(HERE, 8080, NEVER), fails('peer-refused')),
  },
  'no route means unreachable': {
    run: () => assert.rejects(kernelConnector.connect(ELSEWHERE, 8080, NEVER), fails('peer-unreachable')),
  },
  'the unreachable route that a gateway leaves behind means unreachable': {
    prepare: `${WITH_ADDRESS}; ip -6 route add unreachable fd60:db4d:ddb5::/48 metric 4294967295`,
    run: () => assert.rejects(kernelConnector.connect(ELSEWHERE, 8080, NEVER), fails('peer-unreachable')),
  },
  'an attempt that is given up leaves nothing': {
    run: () => assert.rejects(kernelConnector.connect(HERE, 8080, AbortSignal.abort()), fails('cancelled')),
  },
});
