/**
 * A small web server with one page and two files. A file's bytes are the same everywhere and always, so a download
 * can be judged anywhere by its SHA-256.
 */
import { createCipheriv, createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createServer, type Server, type ServerResponse } from 'node:http';
import { join } from 'node:path';

export const PAGE_TEXT = 'hello from behind garligate\n';

export interface ServedFile {
  readonly path: string;
  readonly length: number;
}

export const LARGE_FILE: ServedFile = { path: '/20MB.bin', length: 20_000_000 };
/** For slow lines. */
export const SMALL_FILE: ServedFile = { path: '/300kB.bin', length: 300_000 };

/** Bytes that do not compress and do not repeat: the AES-CTR key stream of a zero key. */
export function fileBytes({ length }: ServedFile): Buffer {
  return createCipheriv('aes-128-ctr', Buffer.alloc(16), Buffer.alloc(16)).update(Buffer.alloc(length));
}

/** With `?pace=` and bytes per second the web server hands a file out no faster, so that a download lasts. */
const PACE = 'pace';
/** With `&name=` it can be asked afterwards how much of a paced download it has handed over. */
const NAME = 'name';
const PACED_EVERY_MS = 200;

/** The SHA-256 that a complete download must have, in hex. */
export function fileHash(file: ServedFile): string {
  return createHash('sha256').update(fileBytes(file)).digest('hex');
}

/**
 * `GET /` answers PAGE_TEXT, `GET /20MB.bin` and `/300kB.bin` the files, anything else 404. Not listening yet.
 *
 * @param folder whose files are there too, under their paths in it
 */
export function webServer(folder?: string): Server {
  const files = new Map([LARGE_FILE, SMALL_FILE].map((file) => [file.path, fileBytes(file)]));
  const bodyOf = async (path: string): Promise<Buffer | undefined> => {
    if (path === '/') return Buffer.from(PAGE_TEXT);
    const file = files.get(path);
    if (file !== undefined) return file;
    // Joined to the root first, so that no ".." leads out of the folder.
    return folder === undefined ? undefined : readFile(join(folder, join('/', path))).catch(() => undefined);
  };
  return createServer(async (request, response) => {
    const [path = '/', query] = (request.url ?? '/').split('?');
    const body = await bodyOf(path);
    if (body === undefined) {
      response.writeHead(404, { 'content-type': 'text/plain' }).end('not found\n');
      return;
    }
    const type = path === '/' ? 'text/plain' : 'application/octet-stream';
    response.writeHead(200, { 'content-type': type, 'content-length': body.length });
    const wishes = new URLSearchParams(query);
    const bytesPerSecond = Number(wishes.get(PACE));
    const step = Math.ceil((bytesPerSecond * PACED_EVERY_MS) / 1_000);
    if (step > 0) handOut(response, body, step, wishes.get(NAME));
    else response.end(body);
  });
}

/** Of all web servers of this process, by the names of downloads. */
const handed = new Map<string, number>();

/** Bytes of a paced download that the kernel has taken from a web server of this process. */
export function handedOver(name: string): number {
  return handed.get(name) ?? 0;
}

function handOut(response: ServerResponse, body: Buffer, step: number, name: string | null): void {
  let at = 0;
  const timer = setInterval(() => {
    if (response.writableNeedDrain) return;
    const end = Math.min(at + step, body.length);
    response.write(body.subarray(at, end), (error) => {
      if (name !== null && !error) handed.set(name, end);
    });
    at = end;
    if (at < body.length) return;
    clearInterval(timer);
    response.end();
  }, PACED_EVERY_MS);
  response.on('close', () => clearInterval(timer));
}
