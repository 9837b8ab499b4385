/**
 * Starts a program as another user, and again, also when we may no longer become that user: a shell that has been that
 * user from the beginning, and has no rights beyond, starts what it is told. Everything it started ends with it, and it
 * with us, however we end. Knows nothing of the program.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { stripVTControlCharacters } from 'node:util';
import { type Clock, isOverWithin, sleep, within } from '../kit/clock.ts';
import { abortError, GateError } from '../kit/errors.ts';
import { findProgram, hasEnded, isAlive, type ProcessMark, type UserIds } from './processes.ts';

export interface LauncherSettings {
  /** Whom everything runs as; ourselves when undefined. */
  readonly user: UserIds | undefined;
  /** In which everything runs. No way to it has to be open to that user. */
  readonly directory: string;
  /** The search path for setpriv, as in the environment variable. */
  readonly searchPath: string;
  readonly clock: Clock;
}

export interface ProgramEnd {
  readonly how: string;
  /** The last line that it said, which may name what it was working on; empty where it said nothing. */
  readonly lastWords: string;
}

/** One run of a program. */
export interface LaunchedRun {
  readonly mark: ProcessMark;
  /** Resolves when it has ended. Never rejects. */
  readonly ended: Promise<ProgramEnd>;
  signal(name: 'TERM' | 'KILL'): void;
}

export interface Launcher {
  readonly pid: number;
  /**
   * One at a time.
   *
   * @param words the program, with its path, and its arguments
   * @param signal gives it up
   * @throws GateError `local-io` when it cannot be started, or the reason of the signal, and ends then should it still begin;
   *   `launcher.gone` when the launcher itself has ended
   */
  run(words: readonly string[], signal: AbortSignal): Promise<LaunchedRun>;
  /**
   * Ends what still runs, and waits for that no longer than a moment: all runs have ended then, as far as anybody will hear.
   * Idempotent, never rejects.
   *
   * @returns the process ids of what may go on: it is stopped or stuck, and another user's, whom we may not kill
   */
  close(): Promise<readonly number[]>;
}

/** Takes one word a line, and an empty line after the last one; runs them beside itself; ends with its input. */
const TAKE_COMMANDS = `while :; do
  set --
  while IFS= read -r word && [ -n "$word" ]; do set -- "$@" "$word"; done
  [ $# -gt 0 ] || exit 0
  parent=$$ "$@" &
done`;

/** What is bound to its parent only after that has died is never told: so it looks whether the parent is still there. */
const WITH_PARENT = '[ "$PPID" = "$parent" ] || exit 0';
/** The 22nd of its words: in /proc/PID/stat, when the process was started. The name of a shell, which is one of them, has no blanks. */
const WHEN = 'when() { shift 21; echo "$1"; }';
/**
 * Tells its process id and when it was started, which we may not be allowed to look up, in a line that begins with the mark of
 * the run, before it becomes the program, so that this is the first line.
 */
const BECOME = [
  WITH_PARENT,
  WHEN,
  'unset parent; read -r stat < /proc/$$/stat; echo "$1 started $$ $(when $stat)"',
  'unset stat; shift; exec "$@"',
].join('; ');
/** Tells, in such a line too, how it ended, unless somebody ends this shell before. Both in one line, as a word. */
const REPORT_RUN = [
  WITH_PARENT,
  'mark=$1; shift',
  'parent=$$ "$@" 2>&1',
  'status=$?; printf "\\n%s ended %s\\n" "$mark" "$status"',
].join('; ');

/** A router needs no capability, also none that we hold on behalf of the TUN. */
const WITHOUT_RIGHTS = ['--no-new-privs', '--inh-caps=-all', '--ambient-caps=-all'];
const START_MS = 10_000;
/** For shells that have nothing more to do. */
const CLOSE_MS = 200;
/** For what the kernel was told to kill. */
const KILLED_MS = 250;
/** How often it is looked at whether a program is still there. */
const LOOK_MS = 1_000;
/** Characters of a line that are kept for the reason of an end. */
const LONGEST_REASON = 200;
/** Whose end is not known, those that were given up included: a shell that is stopped ends nobody. */
const MOST_RUNS = 16;
/** A shell says that a signal ended a program by adding its number to this. */
const BY_SIGNAL = 128;

/** @throws GateError `local-io` when there is no shell, or the user cannot be had */
export async function startLauncher({ user, directory, searchPath, clock }: LauncherSettings): Promise<Launcher> {
  const setpriv = await findProgram('setpriv', searchPath);
  /**
   * With setpriv the kernel ends a child when its parent dies without a word. A program that is stopped hears no TERM, and i2pd
   * 2.45.1 hears it and never ends where it has not finished a session that somebody asked for.
   */
  const bound = (...rights: readonly string[]) =>
    setpriv === undefined ? [] : [setpriv, '--pdeathsig', 'KILL', ...rights, '--'];
  const [command = '/bin/sh', ...rest] = [...bound(...WITHOUT_RIGHTS), '/bin/sh', '-c', TAKE_COMMANDS];
  const shell = spawn(command, rest, {
    ...user,
    cwd: directory,
    env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', HOME: directory, LANG: 'C' },
    stdio: ['pipe', 'pipe', 'pipe'],
    // A session of its own: Ctrl-C at our terminal is no signal to what runs here.
    detached: true,
  });
  const { pid } = shell;
  if (pid === undefined) {
    const why = await new Promise<string>((resolve) => shell.once('error', ({ message }) => resolve(message)));
    throw new GateError('local-io', 'launcher.start', `the shell that starts programs cannot be started: ${why}`);
  }
  // That we may not kill it: its end, which does not come, says so.
  shell.on('error', () => {});
  const reporting = (mark: string, words: readonly string[]) => {
    const become = [...bound(), '/bin/sh', '-c', BECOME, 'sh', mark];
    return [...bound(), '/bin/sh', '-c', REPORT_RUN, 'sh', mark, ...become, ...words];
  };
  return new ShellLauncher(shell, pid, clock, reporting);
}

/** What the shell is told for a program to run that reports itself with this mark. */
type Reporting = (mark: string, words: readonly string[]) => readonly string[];

/** Of a line that has no end yet. Characters. */
const LONGEST_LINE = 4_096;

/** Who waits for what the shell says of a run. */
interface Reports {
  /** Lines that had been heard by when it was begun. */
  readonly heardBefore: number;
  started(process: ProcessMark): void;
  ended(why: ProgramEnd): void;
  /** The launcher is no more. */
  lost(): void;
}

class ShellLauncher implements Launcher {
  readonly pid: number;
  readonly #shell: ChildProcess;
  readonly #clock: Clock;
  readonly #reporting: Reporting;
  /** Resolves when the shell has ended, and all that it has started: nobody holds its output any more. */
  readonly #over: Promise<void>;
  #isGone = false;
  /** By mark: the run that is wanted, and those given up of which it is not known that they have ended. */
  readonly #runs = new Map<string, Reports>();
  /** The programs that run, by process id. */
  readonly #running = new Map<number, ProcessMark>();
  /** Lines so far. */
  #heard = 0;
  /** The last line that a program, or a shell, has said. */
  #lastWords = '';

  constructor(shell: ChildProcess, pid: number, clock: Clock, reporting: Reporting) {
    this.pid = pid;
    this.#shell = shell;
    this.#clock = clock;
    this.#reporting = reporting;
    // It may be gone while it is being told something: its end says so.
    shell.stdin?.on('error', () => {});
    for (const output of [shell.stdout, shell.stderr]) {
      const hear = linesOf((line) => this.#hearLine(line));
      output?.on('data', (data) => hear(String(data)));
    }
    shell.once('exit', () => {
      this.#isGone = true;
      this.#loseAll();
    });
    this.#over = new Promise((resolve) => {
      shell.once('close', () => {
        this.#running.clear();
        resolve();
      });
    });
  }

  async run(words: readonly string[], signal: AbortSignal): Promise<LaunchedRun> {
    if (this.#isGone) throw gone();
    this.#forgetOldest();
    const late = new GateError('local-io', 'launcher.late', 'the shell that starts programs does not answer');
    return within(this.#clock, START_MS, late, signal, (limit) => this.#start(words, limit));
  }

  async close(): Promise<readonly number[]> {
    // Without setpriv nothing else would tell them.
    for (const pid of this.#running.keys()) this.#signal(pid, 'TERM');
    this.#shell.stdin?.end();
    if (await isOverWithin(this.#clock, CLOSE_MS, this.#over)) return [];
    // It is stopped or stuck, and so hears nothing of that.
    for (const mark of this.#running.values()) await killIfWeMay(mark);
    this.#shell.kill('SIGKILL');
    if (await isOverWithin(this.#clock, KILLED_MS, this.#over)) return [];
    this.#loseAll();
    // Nothing of it shall keep us from ending.
    this.#shell.unref();
    for (const stream of this.#shell.stdio) stream?.destroy();
    return [...(this.#isGone ? [] : [this.pid]), ...this.#running.keys()];
  }

  #loseAll(): void {
    for (const run of this.#runs.values()) run.lost();
    this.#runs.clear();
  }

  /**
   * Makes room for one more run. A shell that has spoken since has come to nothing with the oldest; one that has not is stuck.
   *
   * @throws GateError `launcher.runs` in that case
   */
  #forgetOldest(): void {
    if (this.#runs.size < MOST_RUNS) return;
    const [oldest] = this.#runs;
    if (oldest !== undefined && oldest[1].heardBefore < this.#heard) {
      this.#runs.delete(oldest[0]);
      return;
    }
    const message = `${MOST_RUNS} programs were to be started, and nothing was heard of them: the shell that starts them is stuck`;
    throw new GateError('limit', 'launcher.runs', message);
  }

  /** @param limit gives the run up; what was told to the shell cannot be taken back */
  #start(words: readonly string[], limit: AbortSignal): Promise<LaunchedRun> {
    if (limit.aborted) throw abortError(limit, 'starting a program');
    this.#lastWords = '';
    const mark = randomUUID();
    return new Promise((resolve, reject) => {
      limit.addEventListener('abort', () => reject(limit.reason), { once: true });
      let running: number | undefined;
      const over = new AbortController();
      const ended = new Promise<ProgramEnd>((end) => {
        this.#runs.set(mark, {
          heardBefore: this.#heard,
          started: (process) => {
            const { pid } = process;
            running = pid;
            this.#running.set(pid, process);
            const untold = { how: 'it ended with the shell that would have told how', lastWords: '' };
            void this.#missing(process, over.signal).then(
              () => this.#runs.get(mark)?.ended(untold),
              () => {},
            );
            if (limit.aborted) this.#signal(pid, 'KILL');
            else resolve({ mark: process, ended, signal: (name) => this.#signal(pid, name) });
          },
          ended: (why) => {
            if (running !== undefined) this.#running.delete(running);
            this.#runs.delete(mark);
            over.abort();
            end(why);
          },
          lost: () => {
            reject(gone());
            over.abort();
            end({ how: gone().message, lastWords: '' });
          },
        });
      });
      this.#tell(this.#reporting(mark, words));
    });
  }

  /**
   * Resolves when it is missing twice: who tells how it ended has had the time for that in between.
   *
   * @throws the reason of the signal
   */
  async #missing(program: ProcessMark, signal: AbortSignal): Promise<void> {
    for (let times = 0; times < 2; times = (await hasEnded(program)) ? times + 1 : 0) {
      await sleep(this.#clock, LOOK_MS, signal);
    }
  }

  /** Once it has ended, another process may have its number. */
  #signal(pid: number, name: 'TERM' | 'KILL'): void {
    if (this.#running.has(pid) && this.#shell.stdin?.writable) this.#tell(['kill', '-s', name, String(pid)]);
  }

  #tell(words: readonly string[]): void {
    if (words.some((word) => word === '' || word.includes('\n'))) {
      throw new GateError('bug', 'bug', 'a word for the launcher is empty, or has a line break');
    }
    this.#shell.stdin?.write(`${words.join('\n')}\n\n`);
  }

  #hearLine(line: string): void {
    this.#heard += 1;
    const [mark = '', what, number, startedAt = ''] = line.split(' ');
    const run = this.#runs.get(mark);
    if (run === undefined) this.#lastWords = line === '' ? this.#lastWords : printable(line);
    else if (what === 'started') run.started({ pid: Number(number), startedAt });
    else run.ended({ how: wayOf(Number(number)), lastWords: this.#lastWords });
  }
}

/** Another user's, without the rights for it, stays: its end, which does not come, says so. */
async function killIfWeMay(mark: ProcessMark): Promise<void> {
  if (!(await isAlive(mark))) return;
  try {
    process.kill(mark.pid, 'SIGKILL');
  } catch {
    // It stays, or has just ended.
  }
}

/** Of one output: the two may be in the middle of a line at the same time. */
function linesOf(hearLine: (line: string) => void): (text: string) => void {
  let unfinished = '';
  return (text) => {
    const lines = (unfinished + text).split('\n');
    unfinished = (lines.pop() ?? '').slice(-LONGEST_LINE);
    for (const line of lines) hearLine(line);
  };
}

function gone(): GateError {
  const message = 'the process that starts it as its own user has been ended by somebody; restart garligate';
  return new GateError('local-io', 'launcher.gone', message);
}

function wayOf(status: number): string {
  return status > BY_SIGNAL ? `it ended by signal ${status - BY_SIGNAL}` : `it ended with code ${status}`;
}

/** Without colours and other control sequences. */
function printable(line: string): string {
  return stripVTControlCharacters(line)
    .replaceAll(/[^\x20-\x7e]/g, '?')
    .slice(0, LONGEST_REASON);
}
