/** What a program that speaks HTTP to the SOCKS port is told: a person has set up a proxy and is looking at the result. */

const INTRODUCTION = 'This is the SOCKS port of garligate, an I2P gateway. It has no web page';

const TUNNELS = `${INTRODUCTION}, and as an HTTP proxy it makes
tunnels only (the method CONNECT): for pages without TLS too, the program must ask for a tunnel.

  curl       curl --proxytunnel --proxy http://ADDRESS:PORT http://NAME.i2p/
  ssh        ssh -o ProxyCommand='nc -X connect -x ADDRESS:PORT %h %p' user@NAME.i2p

Or`;

const NO_TUNNELS = `${INTRODUCTION} and is no HTTP proxy;
the setting http_connect of its listener would let it make tunnels for the method CONNECT.

Please`;

const SOCKS = ` set your program to use this address as a SOCKS5 proxy, and to let the proxy resolve names:

  curl       curl --proxy socks5h://ADDRESS:PORT http://NAME.i2p/
  Firefox    Settings, Network, Manual proxy: SOCKS Host, SOCKS v5, "Proxy DNS when using SOCKS v5";
             leave the fields for HTTP and HTTPS proxies empty
  Chromium   chromium --proxy-server=socks5://ADDRESS:PORT
`;

const ANSWERS = { tunnels: page(`${TUNNELS}${SOCKS}`), socks: page(`${NO_TUNNELS}${SOCKS}`) };

/** 501, like Tor's SOCKS port: the request was fine, this server just does not do such things. */
export function httpAnswer(makesTunnels: boolean): Uint8Array {
  return makesTunnels ? ANSWERS.tunnels : ANSWERS.socks;
}

function page(text: string): Uint8Array {
  return Buffer.from(
    [
      'HTTP/1.1 501 Not Implemented',
      'Content-Type: text/plain; charset=utf-8',
      `Content-Length: ${Buffer.byteLength(text)}`,
      'Cache-Control: no-store',
      'Connection: close',
      '',
      text,
    ].join('\r\n'),
  );
}
