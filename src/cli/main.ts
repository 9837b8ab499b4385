/** The command line: which words there are, and how an error becomes a few plain lines and an exit code. */
import { Command, CommanderError, Option } from 'commander';
import { currentEnvironment, type Paths, pathsFor } from '../io/paths.ts';
import { asGateError, GateError } from '../kit/errors.ts';
import { address } from './address.ts';
import { EXIT, type ExitCode, exitCodeOf } from './exit-codes.ts';
import { exposure } from './exposure.ts';
import { init } from './init.ts';
import { LONGEST_TIMEOUT, MOST_PINGS, ping } from './ping.ts';
import { reload } from './reload.ts';
import { peers, status } from './status.ts';
import { createTerminal, type Terminal } from './terminal.ts';
import { version } from './version.ts';
import { wholeNumber } from './whole-number.ts';

interface Context {
  readonly paths: Paths;
  readonly terminal: Terminal;
  /** Aborts at the first SIGINT, SIGTERM or SIGHUP. */
  readonly signal: AbortSignal;
  exit(code: ExitCode): void;
}

const config = () => new Option('-c, --config <file>', 'the config file').env('GARLIGATE_CONFIG');

function program({ paths, terminal, signal, exit }: Context): Command {
  const root = new Command('garligate')
    .description('An IPv6 VPN gateway over I2P, with a SOCKS front.')
    .version(version(), '-V, --version', 'print the version')
    .exitOverride()
    .showHelpAfterError('Try `garligate --help`.');

  root
    .command('run')
    .description('run the gateway until a signal ends it')
    .addOption(config())
    .option('--socks-only', 'without the VPN; needs no root')
    .action(async (options) => {
      // The whole gateway hangs on this one: no other verb should have to wait until it is loaded.
      const { run } = await import('./run.ts');
      await run(options, paths, terminal, signal);
    });
  root
    .command('check')
    .description('check the config file and what it names, change nothing')
    .addOption(config())
    .action(async (options) => {
      const { check } = await import('./check.ts');
      await check(options.config, paths, terminal);
    });
  root
    .command('init')
    .description('make config file and identity where they are missing, and print what a friend needs')
    .addOption(config())
    .action((options) => init(options.config, paths, terminal));
  root
    .command('address')
    .description("convert between names, destinations and addresses; without argument, print this gateway's own")
    .argument('[name...]', 'a peer, a b32 name, a base64 destination, <16>.oc.b32.i2p, or an address of the VPN')
    // I2P's base64 has a hyphen: one destination in 64 begins with it.
    .allowUnknownOption()
    .addOption(config())
    .action((names: readonly string[], options) => address(names, options.config, paths, terminal));
  root
    .command('password')
    .description('read a password and print the line for it in `users` of a SOCKS listener')
    .argument('<name>', 'the name of the user')
    .action(async (name: string) => {
      const { userLine } = await import('./password.ts');
      terminal.print(await userLine(name, process.stdin, terminal, signal));
    });
  root
    .command('status')
    .description('show the state of the running gateway')
    .addOption(config())
    .option('--socket <path>', 'the control socket, instead of the one of the config file')
    .option('--json', 'as JSON, in a stable form')
    .option('--reveal', 'with names and addresses in full')
    .option('--watch', 'again every two seconds')
    .option('--strict', `exit with ${EXIT.degraded} when not all is well`)
    .action(async (options) => exit(await status(options, paths, terminal, signal)));
  root
    .command('peers')
    .description('show the peers of the running gateway')
    .addOption(config())
    .option('--socket <path>', 'the control socket, instead of the one of the config file')
    .option('--json', 'as JSON, in a stable form')
    .option('--reveal', 'with names and addresses in full')
    .action((options) => peers(options, paths, terminal, signal));
  root
    .command('exposure')
    .description('show what each peer can reach of this host')
    .addOption(config())
    .option('--socket <path>', 'the control socket, instead of the one of the config file')
    .option('--json', 'as JSON, in a stable form')
    .action((options) => exposure(options, paths, terminal, signal));
  root
    .command('reload')
    .description('have the running gateway take over its changed config file, without a restart')
    .addOption(config())
    .option('--socket <path>', 'the control socket, instead of the one of the config file')
    .option('--json', 'as JSON, in a stable form')
    .action((options) => reload(options, paths, terminal, signal));
  root
    .command('ping')
    .description('find out how far one gets on the way to a peer, and what is broken')
    .argument('<peer>', 'name, b32 name or address of a [[peer]]')
    // Here -c counts, as for everybody's ping.
    .addOption(new Option('--config <file>', 'the config file').env('GARLIGATE_CONFIG'))
    .option('--socket <path>', 'the control socket, instead of the one of the config file')
    .option('-c, --count <n>', 'so many times, a second apart', wholeNumber(1, MOST_PINGS))
    .option('--timeout <seconds>', 'for each ping, all parts of it together', wholeNumber(1, LONGEST_TIMEOUT))
    .option('--json', 'as JSON, in a stable form')
    .action(async (peer, options) => exit(await ping(peer, options, paths, terminal, signal)));
  root
    .command('leak-test')
    .description('send packets into the VPN and ask for names, and see whether anything leaves by another way')
    .addOption(config())
    .option('--json', 'as JSON, in a stable form')
    .action(async (options) => {
      const { leakTestVerb } = await import('./leak-test.ts');
      exit(await leakTestVerb(options, paths, terminal, signal));
    });
  root
    .command('version')
    .description('print the version')
    .action(() => terminal.print(version()));
  return root;
}

async function main(argv: readonly string[], terminal: Terminal): Promise<ExitCode> {
  let code: ExitCode = EXIT.ok;
  const signal = endSignal(terminal);
  const exit = (wanted: ExitCode) => {
    code = wanted;
  };
  try {
    await program({ paths: pathsFor(currentEnvironment()), terminal, signal, exit }).parseAsync([...argv]);
    return code;
  } catch (error) {
    // Commander has already said what is wrong, or printed the help that was asked for.
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
    return failure(asGateError(error, 'garligate'), signal, terminal);
  }
}

function failure(error: GateError, signal: AbortSignal, terminal: Terminal): ExitCode {
  // What was given up because somebody pressed Ctrl-C did not fail.
  if (signal.aborted && (error.kind === 'shutdown' || error.kind === 'cancelled')) return EXIT.ok;
  terminal.complain(...error.message.split('\n').map((line) => `garligate: ${line}`));
  if (error.kind === 'bug') {
    terminal.complain(...String(error.cause instanceof Error ? error.cause.stack : error.stack).split('\n'));
  }
  return exitCodeOf(error);
}

/** What is not down by then is left to the kernel. */
const SHUTDOWN_MS = 5_000;

function endSignal(terminal: Terminal): AbortSignal {
  const controller = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(name, () => {
      // One wish may come several times: to a whole group of processes, and once more through whoever has started us.
      if (controller.signal.aborted) return;
      const late = setTimeout(() => {
        terminal.complain('garligate: not everything could be closed in time');
        process.exit(EXIT.failed);
      }, SHUTDOWN_MS);
      // It must not keep alive what has come to its end by itself.
      late.unref();
      controller.abort(new GateError('shutdown', 'shutdown', `ended by ${name}`));
    });
  }
  return controller.signal;
}

/**
 * Node's own answer to SIGUSR1, which other daemons take for "open the log anew", is to let every user of this machine into
 * the process: a debugger on loopback, whose secret path it tells whoever asks. Any listener takes its place.
 */
function keepDebuggerOut(): void {
  process.on('SIGUSR1', () => {});
}

keepDebuggerOut();
// A reader that has seen enough, such as `head`, is no error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  process.exit(error.code === 'EPIPE' ? EXIT.ok : EXIT.failed);
});
process.exitCode = await main(process.argv, createTerminal(process.stdout, process.stderr));
