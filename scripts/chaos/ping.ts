/** Pings from inside a namespace without a pause, and tells of each whether it was answered. */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { inNamespace } from '../lab/namespaces.ts';

export type PingNews =
  | { readonly kind: 'answered'; readonly number: number }
  /** So far: an answer may still come. */
  | { readonly kind: 'unanswered'; readonly number: number }
  /** The answer holds other bytes than the question did. */
  | { readonly kind: 'wrong'; readonly why: string };

const EVERY_S = 0.5;
const AGAIN_MS = 500;
/** Sequence numbers of ICMPv6 have 16 bits (RFC 4443, section 4.1), and each process begins anew. */
const NUMBERS = 0x1_0000;

/** What a line of `ping -n -O` of iputils says; undefined where that is nothing about an answer. */
export function pingNews(line: string): PingNews | undefined {
  const answered = /^\d+ bytes from .* icmp_seq=(\d+) /.exec(line)?.[1];
  if (answered !== undefined) return { kind: 'answered', number: Number(answered) };
  const unanswered = /^no answer yet for icmp_seq=(\d+)$/.exec(line)?.[1];
  if (unanswered !== undefined) return { kind: 'unanswered', number: Number(unanswered) };
  return line.startsWith('wrong data byte ') ? { kind: 'wrong', why: line } : undefined;
}

/** @param host asked for anew whenever `restart` is called, or ping has ended */
export function startPing(namespace: string, host: () => string, tell: (news: PingNews) => void, over: AbortSignal) {
  let child: ReturnType<typeof spawn> | undefined;
  const run = (first: number) =>
    new Promise<void>((resolve) => {
      const args = ['-6', '-n', '-O', '-i', `${EVERY_S}`, host()];
      child = spawn(...inNamespace(namespace, 'ping', args), { stdio: ['ignore', 'pipe', 'ignore'] });
      const { stdout } = child;
      if (stdout === null) return resolve();
      createInterface({ input: stdout }).on('line', (line) => {
        const news = pingNews(line);
        if (news !== undefined) tell('number' in news ? { ...news, number: first + news.number } : news);
      });
      child.once('close', () => resolve());
      child.once('error', () => resolve());
    });
  void (async () => {
    for (let first = 0; !over.aborted; first += NUMBERS) {
      await run(first);
      await pause(AGAIN_MS, undefined, { signal: over }).catch(() => {});
    }
  })();
  const end = () => child?.kill('SIGKILL');
  over.addEventListener('abort', end, { once: true });
  return { restart: end };
}
