/**
 * Two gateways on two real routers, with a web server behind one of them and a stranger's service in I2P: every promise
 * of the lab, then what happens when a gateway is killed and when its router is gone.
 */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { after, before, describe, it } from 'node:test';
import { untilPingable } from '../../scripts/lab/checks.ts';
import { messageOf } from '../../scripts/lab/command.ts';
import { GATEWAY_COMMAND } from '../../scripts/lab/gateway.ts';
import { type Lab, startLab } from '../../scripts/lab/lab.ts';
import { labChecks, stopChecks } from '../../scripts/lab/lab-checks.ts';
import { runInside } from '../../scripts/lab/namespaces.ts';
import { showProgress } from '../../scripts/lab/progress.ts';
import type { StatusReport } from '../../src/control/status.ts';
import { converse } from '../../src/core/session/bridge.ts';
import { generateKeys } from '../../src/wire/sam/conversation.ts';

const { signal } = new AbortController();
let lab: Lab;

before(
  async () => {
    lab = await startLab({ signal, progress: showProgress(process.stdout) });
  },
  { timeout: 300_000 },
);
after(() => lab?.stop(), { timeout: 60_000 });

describe('two gateways on real routers', () => {
  it('keep every promise of the lab', { timeout: 400_000 }, async (context) => {
    for (const { name, run } of labChecks(lab)) {
      await context.test(name, async (check) => check.diagnostic(await run(signal)));
    }
  });

  it('answer both loopbacks behind their firewall, the second one through I2P, and give up what that took', {
    timeout: 400_000,
  }, async (context) => {
    const { namespace, configFile } = lab.a;
    const ping = async (responder: string, seconds: string) => {
      const args = ['-6', '-c', '3', '-i', '0.5', '-W', seconds, `fd60:db4d:ddb5::${responder}:beef`];
      const said = await runInside(namespace, 'ping', args, { timeoutMs: 130_000 });
      assert.match(said, /3 packets transmitted, 3 received/);
      return said.trim().split('\n').at(-1) ?? '';
    };
    await ping('dead', '5');
    // The first time a session has to be built for it.
    context.diagnostic(`first: ${await ping('feed', '120')}`);
    context.diagnostic(`then:  ${await ping('feed', '10')}`);
    const { vpn, sessions } = await statusOf(namespace, configFile);
    assert.equal(vpn?.ownEcho.state, 'up');
    assert.deepEqual(
      sessions.map(({ key, state }) => `${key} ${state}`),
      ['gateway ready', 'own-echo ready'],
    );
  });

  it('use a key that the router made with DEST GENERATE', { timeout: 60_000 }, async () => {
    const bridge = { open: (stop: AbortSignal) => lab.network.openBridge(1, stop) };
    const { stream, out } = await converse(bridge, generateKeys(), 'making keys', signal);
    stream.destroy();
    const { a } = lab;
    const keyFile = `${a.directory}/from-sam.key`;
    await writeFile(keyFile, `${out.blob.reveal()}\n`, { mode: 0o600 });
    const config = `${a.directory}/from-sam.toml`;
    await writeFile(config, `[identity]\nkey_file = "${keyFile}"\n`, { mode: 0o600 });
    const said = await runInside(a.namespace, process.execPath, [GATEWAY_COMMAND, 'address', '--config', config]);
    assert.match(said, new RegExp(`${out.destination.b32}\\.b32\\.i2p`));
  });

  it('a killed gateway leaks nothing, starts at once and is pingable again', { timeout: 240_000 }, async (context) => {
    const { a, b } = lab;
    await a.kill();
    const routes = await runInside(a.namespace, 'ip', ['-6', 'route', 'show', 'fd60:db4d:ddb5::/48']);
    assert.match(routes, /^unreachable /);
    assert.doesNotMatch(await runInside(a.namespace, 'ip', ['-6', 'address']), /fd60:db4d:ddb5/);
    await assert.rejects(runInside(a.namespace, 'ping', ['-6', '-c', '1', '-W', '2', b.addresses.oc]));
    const startedAt = performance.now();
    await a.start(signal);
    await untilPingable(b.namespace, a.addresses.oc, 180_000, signal);
    context.diagnostic(`pingable ${((performance.now() - startedAt) / 1000).toFixed(1)} s after the start`);
  });

  it('without its router SOCKS answers with the right code, and status says what to do', {
    timeout: 60_000,
  }, async () => {
    const { b, network } = lab;
    await network.router(2).kill();
    const curl = ['--silent', '--show-error', '--socks5-hostname', b.socks, `http://${lab.stranger.bookName}/`];
    // curl prints the SOCKS 5 reply code in brackets; 3 is "network unreachable".
    await assert.rejects(runInside(b.namespace, 'curl', curl), (error) => /\(3\)/.test(messageOf(error)));
    const status = await statusOf(b.namespace, b.configFile);
    const [problem] = status.health;
    assert.equal(problem?.severity, 'high');
    assert.match(`${problem?.text} ${problem?.advice}`, /router/);
  });

  it('stop and clean up, also without their router', { timeout: 60_000 }, async (context) => {
    for (const { name, run } of stopChecks(lab)) await context.test(name, async () => void (await run(signal)));
  });
});

async function statusOf(namespace: string, config: string): Promise<StatusReport> {
  const args = [GATEWAY_COMMAND, 'status', '--json', '--config', config];
  // Degraded is an exit code of its own, so the report is read from what was printed in any case.
  const said = await runInside(namespace, process.execPath, args).catch((error: unknown) => messageOf(error));
  return JSON.parse(said.slice(said.indexOf('{'), said.lastIndexOf('}') + 1));
}
