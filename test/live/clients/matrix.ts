/** The client matrix: every program that was tried, in every way that somebody would set it up. */
import { formatAddress } from '../../../src/wire/i2p/address.ts';
import {
  addressOf,
  fetchByNode,
  fetchByVersion4,
  fetchLikeDotNet4a,
  fetchLikeFirefox,
  fetchLikeGo,
  fetchLikeHev,
  fetchLikeJava,
} from './byte-clients.ts';
import { type ClientEntry, type Expectation, WORKS } from './entry.ts';
import { CREDENTIALS } from './lab.ts';
import { chromium, curl, gitClone, proxychains, pysocks, SOME_ADDRESS, sshByNetcat, torsocks } from './programs.ts';

const { user, password } = CREDENTIALS;

/** The client asks the system for a name that only I2P knows, and never gets as far as the request. */
const looksItUp = (sign: RegExp): Expectation => ({
  kind: 'refused',
  why: 'it looks the name up itself, and no name server knows it',
  sign,
});

const handsOverAddress = (sign: RegExp): Expectation => ({
  kind: 'refused',
  why: 'it hands over an IPv4 address, which can only come from outside I2P; counted as `dnsLeak`',
  sign,
  dnsLeak: true,
});

const takesNoIpv6: Expectation = {
  kind: 'refused',
  why: "it asks for the address with Tor's RESOLVE, and takes no IPv6 address for an answer",
  sign: /Could not resolve host/,
};

/** As if a name server had known the name. */
const RESOLVED = ['--resolve', `web.i2p:80:${SOME_ADDRESS}`];

export const CLIENT_MATRIX: readonly ClientEntry[] = [
  {
    client: 'curl',
    way: '`--proxy socks5h://PROXY`',
    expected: WORKS,
    run: (lab) => curl(lab, ['--proxy', `socks5h://${lab.proxy.text}`, `http://${lab.web.host}/`]),
  },
  {
    client: 'curl',
    way: '`--proxy socks5h://USER:PASSWORD@PROXY`',
    expected: WORKS,
    run: (lab) => curl(lab, ['--proxy', `socks5h://${user}:${password}@${lab.proxy.text}`, `http://${lab.web.host}/`]),
  },
  {
    client: 'curl',
    way: '`--proxy socks5h://localhost/PATH`, a unix socket',
    expected: WORKS,
    run: (lab) => curl(lab, ['--proxy', `socks5h://localhost${lab.unixProxies.gateway}`, `http://${lab.web.b32}/`]),
  },
  {
    client: 'curl',
    way: '`--proxy socks4a://PROXY`',
    expected: WORKS,
    run: (lab) => curl(lab, ['--proxy', `socks4a://${lab.proxy.text}`, `http://${lab.web.host}/`]),
  },
  {
    client: 'curl',
    way: '`--proxy socks4a://USER@PROXY`',
    expected: WORKS,
    run: (lab) => curl(lab, ['--proxy', `socks4a://${user}@${lab.proxy.text}`, `http://${lab.web.b32}/`]),
  },
  {
    client: 'curl',
    way: '`--proxy socks5://PROXY`',
    expected: looksItUp(/Could not resolve host|Failed to resolve/),
    run: (lab) => curl(lab, ['--proxy', `socks5://${lab.proxy.text}`, `http://${lab.web.host}/`]),
  },
  {
    client: 'curl',
    way: '`--proxy socks5://PROXY`, and a name server knows the name',
    expected: handsOverAddress(/\(2\)/),
    run: (lab) => curl(lab, ['--proxy', `socks5://${lab.proxy.text}`, ...RESOLVED, `http://${lab.web.host}/`]),
  },
  {
    client: 'curl',
    way: '`--proxy socks4://PROXY`',
    expected: looksItUp(/Could not resolve host|Failed to resolve/),
    run: (lab) => curl(lab, ['--proxy', `socks4://${lab.proxy.text}`, `http://${lab.web.host}/`]),
  },
  {
    client: 'curl',
    way: '`--proxy socks4://PROXY`, and a name server knows the name',
    expected: handsOverAddress(/\(91\)/),
    run: (lab) => curl(lab, ['--proxy', `socks4://${lab.proxy.text}`, ...RESOLVED, `http://${lab.web.host}/`]),
  },
  {
    client: 'curl',
    way: '`--proxytunnel --proxy http://PROXY`, `http_connect = true`',
    expected: WORKS,
    run: (lab) => curl(lab, ['--proxytunnel', '--proxy', `http://${lab.httpProxy.text}`, `http://${lab.web.host}/`]),
  },
  {
    client: 'curl',
    way: '`--proxy http://PROXY`, `http_connect = true`',
    expected: { kind: 'refused', why: 'it asks for no tunnel, and gets a page that says how', sign: /501/ },
    run: (lab) => curl(lab, ['--proxy', `http://${lab.httpProxy.text}`, `http://${lab.web.host}/`]),
  },
  {
    client: 'ssh (OpenBSD nc)',
    way: "`-o ProxyCommand='nc -X 5 -x PROXY %h %p'`",
    expected: WORKS,
    run: (lab) => sshByNetcat(lab, '5'),
  },
  {
    client: 'ssh (OpenBSD nc)',
    way: "`-o ProxyCommand='nc -X 4 -x PROXY %h %p'`",
    expected: looksItUp(/getaddrinfo/),
    run: (lab) => sshByNetcat(lab, '4'),
  },
  {
    client: 'ssh (OpenBSD nc)',
    way: "`-o ProxyCommand='nc -X 4 -x PROXY %h %p'`, to an IPv4 address",
    expected: handsOverAddress(/SOCKSv4 error: Request rejected/),
    run: (lab) => sshByNetcat(lab, '4', SOME_ADDRESS),
  },
  {
    client: 'ssh (OpenBSD nc)',
    way: "`-o ProxyCommand='nc -X connect -x PROXY %h %p'`",
    expected: { kind: 'refused', why: 'HTTP is answered with a page that says so', sign: /501 Not Implemented/ },
    run: (lab) => sshByNetcat(lab, 'connect'),
  },
  {
    client: 'ssh (OpenBSD nc)',
    way: "`-o ProxyCommand='nc -X connect -x PROXY %h %p'`, `http_connect = true`",
    expected: WORKS,
    run: (lab) => sshByNetcat(lab, 'connect', lab.ssh.host, lab.httpProxy.text),
  },
  {
    client: 'git',
    way: '`-c http.proxy=socks5h://PROXY`',
    expected: WORKS,
    run: (lab) => gitClone(lab, `socks5h://${lab.proxy.text}`),
  },
  {
    client: 'git',
    way: '`-c http.proxy=socks5://PROXY`',
    expected: looksItUp(/resolve/),
    run: (lab) => gitClone(lab, `socks5://${lab.proxy.text}`),
  },
  {
    client: 'proxychains-ng',
    way: '`proxy_dns`, `socks5 HOST PORT`',
    expected: WORKS,
    run: (lab) => proxychains(lab, true),
  },
  {
    client: 'proxychains-ng',
    way: '`socks5 HOST PORT` without `proxy_dns`',
    expected: looksItUp(/Could not resolve host/),
    run: (lab) => proxychains(lab, false),
  },
  {
    client: 'torsocks',
    way: '`torsocks -a HOST -P PORT`',
    expected: takesNoIpv6,
    run: (lab) => torsocks(lab),
  },
  {
    client: 'torsocks',
    way: '`torsocks -a HOST -P PORT`, and a program that asks for IPv6 (`curl -6`)',
    expected: takesNoIpv6,
    run: (lab) => torsocks(lab, { curlFlags: ['-6'] }),
  },
  {
    client: 'torsocks',
    way: '`torsocks -i -a HOST -P PORT`',
    expected: takesNoIpv6,
    run: (lab) => torsocks(lab, { flags: ['-i'] }),
  },
  {
    client: 'torsocks',
    way: '`torsocks -a HOST -P PORT`, to an address inside the /48 (`[fd60:db4d:ddb5:...]`)',
    expected: { kind: 'refused', why: 'it lets no program have an IPv6 socket', sign: /Failed to connect to fd60:/ },
    run: async (lab) => torsocks(lab, { host: `[${formatAddress(await addressOf(lab, lab.web.host))}]` }),
  },
  {
    client: 'Node, package `socks`',
    way: '`type: 5`',
    expected: WORKS,
    run: (lab) => fetchByNode(lab, lab.web.host, 5),
  },
  {
    client: 'Node, package `socks`',
    way: '`type: 5`, `userId`, `password`',
    expected: WORKS,
    run: (lab) => fetchByNode(lab, lab.web.b32, 5, CREDENTIALS),
  },
  {
    client: 'Node, package `socks`',
    way: '`type: 4`',
    expected: WORKS,
    run: (lab) => fetchByNode(lab, lab.web.host, 4),
  },
  {
    client: 'Go, `x/net/proxy`',
    way: '`proxy.SOCKS5("tcp", "PROXY", nil, nil)`',
    expected: WORKS,
    run: (lab) => fetchLikeGo(lab, lab.web.host),
  },
  {
    client: 'Go, `x/net/proxy`',
    way: '`proxy.SOCKS5("tcp", "PROXY", &proxy.Auth{...}, nil)`',
    expected: WORKS,
    run: (lab) => fetchLikeGo(lab, lab.web.b32, CREDENTIALS),
  },
  {
    client: 'Python, PySocks',
    way: '`set_proxy(SOCKS5, HOST, PORT)`',
    expected: WORKS,
    run: (lab) => pysocks(lab, true),
  },
  {
    client: 'Python, PySocks',
    way: '`set_proxy(SOCKS5, HOST, PORT, True, USER, PASSWORD)`',
    expected: WORKS,
    run: (lab) => pysocks(lab, true, [user, password]),
  },
  {
    client: 'Python, PySocks',
    way: '`set_proxy(SOCKS5, HOST, PORT, rdns=False)`',
    expected: looksItUp(/gaierror|Name or service not known|name resolution/),
    run: (lab) => pysocks(lab, false),
  },
  {
    client: 'Chromium',
    way: '`--proxy-server=socks5://PROXY`',
    expected: WORKS,
    run: (lab) => chromium(lab, `socks5://${lab.proxy.text}`),
  },
  {
    client: 'Chromium',
    way: '`--proxy-server=socks4://PROXY`',
    expected: looksItUp(/ERR_NAME_NOT_RESOLVED/),
    run: (lab) => chromium(lab, `socks4://${lab.proxy.text}`),
  },
  {
    client: 'Firefox',
    way: 'SOCKS v5, "Proxy DNS when using SOCKS v5"',
    expected: WORKS,
    run: (lab) => fetchLikeFirefox(lab, lab.web.host),
  },
  {
    client: 'hev-socks5-tunnel',
    way: '`pipeline: true`, `mapdns`',
    expected: WORKS,
    run: (lab) => fetchLikeHev(lab, lab.web.host),
  },
  {
    client: 'hev-socks5-tunnel',
    way: '`pipeline: true`, `mapdns`, `username`, `password`',
    expected: WORKS,
    run: (lab) => fetchLikeHev(lab, lab.web.host, { credentials: CREDENTIALS }),
  },
  {
    client: 'hev-socks5-tunnel',
    way: "`udp: 'tcp'`",
    expected: {
      kind: 'refused',
      why: 'UDP inside its TCP connection is a command of its own, and unknown (07)',
      sign: /response 7/,
    },
    run: (lab) => fetchLikeHev(lab, lab.web.host, { command: 5 }),
  },
  {
    client: 'Java',
    way: '`-DsocksProxyHost=HOST -DsocksProxyPort=PORT`',
    expected: WORKS,
    run: (lab) => fetchLikeJava(lab, lab.web.host),
  },
  {
    client: 'Java',
    way: '`-DsocksProxyVersion=4`, and a name server knows the name',
    expected: handsOverAddress(/rejected: 91/),
    run: (lab) => fetchByVersion4(lab, SOME_ADDRESS),
  },
  {
    client: '.NET, `HttpClient`',
    way: '`new WebProxy("socks4a://PROXY")`',
    expected: WORKS,
    run: (lab) => fetchLikeDotNet4a(lab, lab.web.host),
  },
  {
    client: '.NET, `HttpClient`',
    way: '`new WebProxy("socks4://PROXY")`, and a name server knows the name',
    expected: handsOverAddress(/rejected: 91/),
    run: (lab) => fetchByVersion4(lab, SOME_ADDRESS),
  },
];
