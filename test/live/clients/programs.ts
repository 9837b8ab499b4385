/** How each real program of the matrix is told to use the SOCKS port, as command lines. */
import { mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type ClientLab, GIT_ALONE } from './lab.ts';

/** An address that belongs to nobody (RFC 5737), for clients that come with one. */
export const SOME_ADDRESS = '192.0.2.1';

/** Without the user's own settings; complains when there is something to complain about. */
export function curl(lab: ClientLab, args: readonly string[]): Promise<string> {
  return lab.run('curl', ['--disable', '--silent', '--show-error', '--fail', '--max-time', '80', ...args]);
}

/** @param protocol what OpenBSD's nc calls it: 4, 5 or connect */
export function sshByNetcat(
  lab: ClientLab,
  protocol: string,
  host = lab.ssh.host,
  proxy = lab.proxy.text,
): Promise<string> {
  const options = {
    ProxyCommand: `nc.openbsd -X ${protocol} -x ${proxy} %h %p`,
    HostKeyAlias: lab.ssh.host,
    UserKnownHostsFile: lab.ssh.knownHosts,
    StrictHostKeyChecking: 'yes',
    IdentitiesOnly: 'yes',
    BatchMode: 'yes',
  };
  const flags = Object.entries(options).flatMap(([name, value]) => ['-o', `${name}=${value}`]);
  return lab.run('ssh', ['-F', 'none', '-i', lab.ssh.key, ...flags, `root@${host}`]);
}

/** @returns the text in the clone */
export async function gitClone(lab: ClientLab, proxy: string): Promise<string> {
  const clone = join(await folderFor(lab, 'git'), 'clone');
  const args = ['-c', `http.proxy=${proxy}`, 'clone', '--quiet', lab.web.repository, clone];
  await lab.run('git', args, GIT_ALONE);
  return readFile(join(clone, 'hello.txt'), 'utf8');
}

export async function proxychains(lab: ClientLab, remoteNames: boolean): Promise<string> {
  const file = join(await folderFor(lab, 'proxychains'), 'proxychains.conf');
  const lines = [
    'strict_chain',
    ...(remoteNames ? ['proxy_dns', 'remote_dns_subnet 224'] : []),
    // Finding a destination in I2P can take a minute; the default is 15 s.
    'tcp_read_time_out 60000',
    '[ProxyList]',
    `socks5 ${lab.proxy.host} ${lab.proxy.port}`,
  ];
  await writeFile(file, `${lines.join('\n')}\n`);
  return lab.run('proxychains4', ['-q', '-f', file, 'curl', '--disable', '-sS', `http://${lab.web.host}/`]);
}

/** @param flags of curl, which runs inside */
export function torsocks(
  lab: ClientLab,
  {
    flags = [],
    curlFlags = [],
    host = lab.web.host,
  }: {
    readonly flags?: readonly string[];
    readonly curlFlags?: readonly string[];
    readonly host?: string;
  } = {},
): Promise<string> {
  const fetching = ['curl', '--disable', '-sS', ...curlFlags, `http://${host}/`];
  return lab.run('torsocks', [...flags, '-a', lab.proxy.host, '-P', `${lab.proxy.port}`, ...fetching]);
}

const PYTHON = `
import http.client, socks, sys
host, port, remote, name, *credentials = sys.argv[1:]
connection = socks.socksocket()
connection.set_proxy(socks.SOCKS5, host, int(port), remote == "True", *credentials)
connection.settimeout(80)
connection.connect((name, 80))
connection.sendall(b"GET / HTTP/1.1\\r\\nHost: web\\r\\n\\r\\n")
answer = http.client.HTTPResponse(connection)
answer.begin()
sys.stdout.write(answer.read().decode())
`;

/** PySocks with Debian's Python, whatever other Pythons there are. */
export function pysocks(lab: ClientLab, remoteNames: boolean, credentials: readonly string[] = []): Promise<string> {
  const { host, port } = lab.proxy;
  const remote = remoteNames ? 'True' : 'False';
  return lab.run('/usr/bin/python3', ['-c', PYTHON, host, `${port}`, remote, lab.web.host, ...credentials]);
}

/** What Chromium's log has for a name that cannot be resolved. */
const NAME_NOT_RESOLVED = '"net_error":-105';

/** @returns the page as the browser understood it. @throws Error when it has none, with why if that is known */
export async function chromium(lab: ClientLab, proxy: string): Promise<string> {
  const home = await folderFor(lab, 'chromium');
  const netLog = join(home, 'net-log.json');
  const flags = [
    '--headless',
    '--no-sandbox',
    '--disable-gpu',
    '--disable-quic',
    '--disable-dev-shm-usage',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
    `--user-data-dir=${join(home, 'profile')}`,
    `--proxy-server=${proxy}`,
    `--log-net-log=${netLog}`,
    '--dump-dom',
  ];
  const page = await lab.run('chromium', [...flags, `http://${lab.web.host}/`], [`HOME=${home}`]);
  // Without a page it shows an error in its window, prints nothing, and ends well.
  if (page.trim() !== '') return page;
  const log = await readFile(netLog, 'utf8');
  throw new Error(log.includes(NAME_NOT_RESOLVED) ? 'ERR_NAME_NOT_RESOLVED' : 'Chromium has no page');
}

function folderFor(lab: ClientLab, client: string): Promise<string> {
  return mkdtemp(join(lab.directory, `${client}-`));
}
