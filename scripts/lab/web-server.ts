/**
 * A small web server with one page and one large file. The file's bytes are the same everywhere and always, so a download
 * can be judged anywhere by its SHA-256.
 */
import { createCipheriv, createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { join } from 'node:path';

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

/**
 * `GET /` answers PAGE_TEXT, `GET /20MB.bin` the file, anything else 404. Not listening yet.
 *
 * @param folder whose files are there too, under their paths in it
 */
export function webServer(folder?: string): Server {
  const file = fileBytes();
  const bodyOf = async (path: string): Promise<Buffer | undefined> => {
    if (path === '/') return Buffer.from(PAGE_TEXT);
    if (path === FILE_PATH) return file;
    // Joined to the root first, so that no ".." leads out of the folder.
    return folder === undefined ? undefined : readFile(join(folder, join('/', path))).catch(() => undefined);
  };
  return createServer(async (request, response) => {
    const [path = '/'] = (request.url ?? '/').split('?');
    const body = await bodyOf(path);
    if (body === undefined) {
      response.writeHead(404, { 'content-type': 'text/plain' }).end('not found\n');
      return;
    }
    const type = path === '/' ? 'text/plain' : 'application/octet-stream';
    response.writeHead(200, { 'content-type': type, 'content-length': body.length }).end(body);
  });
}
