/** What must hold in the lab, as a list of checks with names: the promises of the product that a network can show. */
import { besideBare } from './beside-bare.ts';
import { download, failsToFetch, fetchPage, ping, sendDatagrams, talk } from './checks.ts';
import { runCommand } from './command.ts';
import type { Gateway } from './gateway.ts';
import { CLOSED_PORT, ECHO_PORT, type Lab, WEB_PORT } from './lab.ts';
import { runInside } from './namespaces.ts';

export type Check = {
  readonly name: string;
  /** Answers with how well it went. @throws Error that says what did not hold */
  run(signal: AbortSignal): Promise<string>;
};

export function labChecks(lab: Lab): Check[] {
  const { a, b, stranger, file, line } = lab;
  const size = file.length < 1e6 ? `${file.length / 1e3} kB` : `${file.length / 1e6} MB`;
  const webOfB = `http://[${b.addresses.oc}]:${WEB_PORT}`;
  const closedOfB = `http://[${b.addresses.oc}]:${CLOSED_PORT}/`;
  const ofStranger = (check: Check) => besideBare(lab, check);
  const pageBy = (name: string, curlArgs: readonly string[], url: string): Check => ({
    name,
    run: (signal) => fetchPage(a.namespace, curlArgs, url, signal),
  });
  const downloadBy = (name: string, curlArgs: readonly string[], url: string): Check => ({
    name,
    run: (signal) => download(a.namespace, curlArgs, `${url}${file.path}`, file, signal),
  });
  return [
    ...bothWays('ping -6', lab, (from, to, signal) => ping(from.namespace, to.addresses.oc, line, signal)),
    ...bothWays('ping -6, OnionCat 4 address', lab, (from, to, signal) =>
      ping(from.namespace, to.addresses.ocat4, line, signal),
    ),
    ...lanChecks(lab),
    ...bothWays('TCP, one short message at a time', lab, (from, to) =>
      talk(from.helper, to.addresses.oc, ECHO_PORT, line),
    ),
    ...bothWays('UDP', lab, (from, to) => sendDatagrams(from.helper, to.addresses.oc, ECHO_PORT, line)),
    pageBy('curl through the TUN to b', [], `${webOfB}/`),
    ofStranger(pageBy('curl --socks4a to <52>.b32.i2p', ['--socks4a', a.socks], `http://${stranger.b32Name}/`)),
    ofStranger(
      pageBy('curl --socks5-hostname to a book name', ['--socks5-hostname', a.socks], `http://${stranger.bookName}/`),
    ),
    pageBy('curl --socks5 to an IPv6 literal of b', ['--socks5', a.socks], `${webOfB}/`),
    pageBy('curl --socks4a to an IPv6 literal of b', ['--socks4a', a.socks], `${webOfB}/`),
    {
      name: 'a service of b that no rule allows, through the TUN',
      run: (signal) => failsToFetch(a.namespace, [], closedOfB, { seconds: 3, words: /timed out/i }, signal),
    },
    {
      name: 'the same by flow, with --socks5',
      // curl prints the SOCKS 5 reply code in brackets; 2 is "not allowed by ruleset".
      run: (signal) =>
        failsToFetch(a.namespace, ['--socks5', a.socks], closedOfB, { seconds: 60, words: /\(2\)/ }, signal),
    },
    downloadBy(`${size} through the TUN`, [], webOfB),
    ofStranger(downloadBy(`${size} by --socks4a`, ['--socks4a', a.socks], `http://${stranger.b32Name}`)),
    ofStranger(
      downloadBy(`${size} by --socks5-hostname`, ['--socks5-hostname', a.socks], `http://${stranger.bookName}`),
    ),
    downloadBy(`${size} by --socks5 to an IPv6 literal`, ['--socks5', a.socks], webOfB),
  ];
}

/** The last checks: they end the gateways. */
export function stopChecks({ a, b }: Lab): Check[] {
  return [a, b].map((gateway) => ({ name: `gateway ${gateway.name} stops and cleans up`, run: () => stops(gateway) }));
}

async function stops(gateway: Gateway): Promise<string> {
  await gateway.stop();
  const ip = (...args: string[]) => runCommand('ip', ['-n', gateway.namespace, '-6', '-o', ...args]);
  const links = await ip('link', 'show');
  if (links.includes(gateway.interfaceName)) throw new Error(`${gateway.interfaceName} is still there: ${links}`);
  const routes = await ip('route', 'show', 'table', 'all');
  if (!routes.includes('unreachable fd60:db4d:ddb5::/48')) {
    throw new Error(`there is no unreachable route for fd60:db4d:ddb5::/48: ${routes}`);
  }
  const tables = await runInside(gateway.namespace, 'nft', ['list', 'tables']);
  if (tables !== '') throw new Error(`the firewall left something behind: ${tables}`);
  return 'interface and firewall gone, unreachable route stays';
}

/** From the host behind one gateway to the host behind the other: nothing of theirs knows of I2P. */
function lanChecks({ lans: { a, b }, line }: Lab): Check[] {
  return [
    { name: 'ping -6, host behind a to host behind b', from: a, to: b },
    { name: 'ping -6, host behind b to host behind a', from: b, to: a },
  ].map(({ name, from, to }) => ({
    name,
    run: (signal) => ping(from.host.namespace, to.host.address, line, signal),
  }));
}

function bothWays(
  name: string,
  { a, b }: Lab,
  run: (from: Gateway, to: Gateway, signal: AbortSignal) => Promise<string>,
): Check[] {
  return [
    { name: `${name}, a to b`, run: (signal) => run(a, b, signal) },
    { name: `${name}, b to a`, run: (signal) => run(b, a, signal) },
  ];
}
