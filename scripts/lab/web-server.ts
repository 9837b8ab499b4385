/**
 * A small web server with one page and one large file. The file's bytes are the same everywhere and always, so a download
 * can be judged anywhere by its SHA-256.
 */
import { createCipheriv, createHash } from 'node:crypto';
import { createServer, type Server } from 'node:http';

export const PAGE_TEXT = 'hello from behind garligate\n';
export const FILE_PATH = '/20MB.bin';
export const FILE_LENGTH = 20_000_000;

/** Bytes that do not compress and do not repeat: the AES-CTR key stream of a zero key. */
function fileBytes(): Buffer {
  return createCipheriv('aes-128-ctr', Buffer.alloc(16), Buffer.alloc(16)).update(Buffer.alloc(FILE_LENGTH));
}

/** The SHA-256 that a complete download must have, in hex. */
export function fileHash(): string {
  return createHash('sha256').update(fileBytes()).digest('hex');
}

/** `GET /` answers PAGE_TEXT, `GET /20MB.bin` the file, anything else 404. Not listening yet. */
export function webServer(): Server {
  const file = fileBytes();
  return createServer((request, response) => {
    const body = request.url === '/' ? Buffer.from(PAGE_TEXT) : request.url === FILE_PATH ? file : undefined;
    if (body === undefined) {
      response.writeHead(404, { 'content-type': 'text/plain' }).end('not found\n');
      return;
    }
    const type = body === file ? 'application/octet-stream' : 'text/plain';
    response.writeHead(200, { 'content-type': type, 'content-length': body.length }).end(body);
  });
}
