/** What a program that speaks HTTP to the SOCKS port is told: a person has set up a proxy and is looking at the result. */

const TEXT = `This is the SOCKS port of garligate, an I2P gateway. It is not an HTTP proxy and has no web page.

Set your program to use this address as a SOCKS5 proxy, and to let the proxy resolve names:

  curl       curl --proxy socks5h://ADDRESS:PORT http://NAME.i2p/
  Firefox    Settings, Network, Manual proxy: SOCKS Host, SOCKS v5, "Proxy DNS when using SOCKS v5";
             leave the fields for HTTP and HTTPS proxies empty
  Chromium   chromium --proxy-server=socks5://ADDRESS:PORT
`;

/** 501, like Tor's SOCKS port: the request was fine, this server just does not do such things. */
export const HTTP_ANSWER: Uint8Array = Buffer.from(
  [
    'HTTP/1.1 501 Not Implemented',
    'Content-Type: text/plain; charset=utf-8',
    `Content-Length: ${Buffer.byteLength(TEXT)}`,
    'Cache-Control: no-store',
    'Connection: close',
    '',
    TEXT,
  ].join('\r\n'),
);
