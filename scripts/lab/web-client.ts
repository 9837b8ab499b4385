/**
 * Fetches the page of a lab's web server over a stream that stands. It is the client that ends the connection: of a service
 * that answers and ends at once, i2pd 2.45.1 now and then delivers nothing.
 */
import type { Socket } from 'node:net';
import { readExactly } from './sam-client.ts';
import { PAGE_TEXT } from './web-server.ts';

const HEAD_END = '\r\n\r\n';
const LONGEST_HEAD = 4096;

/**
 * @param host as it stands in the request
 * @throws Error when something else comes, or nothing before the signal aborts
 */
export async function fetchPage(stream: Socket, host: string, signal: AbortSignal): Promise<string> {
  stream.write(`GET / HTTP/1.1\r\nHost: ${host}${HEAD_END}`);
  let head = '';
  while (!head.endsWith(HEAD_END)) {
    if (head.length > LONGEST_HEAD) throw new Error(`no answer of a web server: ${head.slice(0, 80)}`);
    head += (await readExactly(stream, 1, signal)).toString('latin1');
  }
  if (!head.startsWith('HTTP/1.1 200 ')) throw new Error(`no page: ${head.slice(0, 80)}`);
  const page = (await readExactly(stream, PAGE_TEXT.length, signal)).toString('latin1');
  stream.destroy();
  return page;
}
