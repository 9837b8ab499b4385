/** Two networks joined by two whole gateways: who reaches whom, and what a gateway leaves behind that is killed. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { declareScenarios } from './namespace.ts';
import { ping, twoSites, untilSucceeds } from './two-sites.ts';

await declareScenarios(import.meta.filename, {
  'hosts behind two gateways reach each other as far as the rules say, and a killed gateway lets nothing out': {
    longestMs: 120_000,
    run: () =>
      twoSites({ atA: [], atB: ['icmp'], mtuOfB: 1400 }, async ({ a, b, start }) => {
        const [gatewayA, gatewayB] = [start(a), start(b)];
        const endedA = once(gatewayA, 'close');
        const endedB = once(gatewayB, 'close');

        await untilSucceeds(a.host, ping(`${b.lan}2`), 'host a reaches host b');
        // By its own address, which b's network answers through its gateway.
        assert.ok(await a.gateway.succeeds(ping(`${b.lan}2`)), 'gateway a reaches host b');
        assert.ok(await a.gateway.succeeds(ping(b.vpn)), 'gateway a reaches gateway b');
        assert.equal(await b.host.succeeds(ping(`${a.lan}2`)), false, 'b is allowed nothing');
        assert.equal(await b.gateway.succeeds(ping(a.vpn)), false, 'b is allowed nothing');
        assert.match(await a.gateway.run('nft list counter ip6 garligate denied'), /packets [1-9]/);

        // What is longer than b takes is answered by gateway a, past its own rules, to a host of its network; which sends less.
        const long = (more: string) => `ping -6 -n -W 5 -i 0.2 -s 1380 ${more} ${b.lan}2`;
        const answer = await a.host.run(`${long('-c 1 -M do')} 2>&1 || true`);
        assert.match(answer, new RegExp(`From ${a.vpn}.*Packet too big: mtu=1400`));
        // Host b learns the same of its answers by the first one.
        assert.ok(await a.host.succeeds(long('-c 3 -M dont')), 'in fragments it arrives');

        gatewayA.kill('SIGKILL');
        await endedA;
        assert.match(await a.gateway.run(`ip -6 route show ${b.lan}/64`), /^unreachable /);
        assert.match(await a.gateway.run('nft list table ip6 garligate'), /chain from_peers/);
        gatewayB.kill('SIGTERM');
        assert.deepEqual(await endedB, [0, null]);
        assert.equal(await b.gateway.run(`ip -6 route show ${a.lan}/64; nft list tables`), '');
      }),
  },
});
