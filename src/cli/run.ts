/** `garligate run`: the gateway in the foreground until a signal ends it. */
import { runGateway } from '../app/run.ts';
import { createConfigReader } from '../io/config-file.ts';
import { currentEnvironment, type Paths } from '../io/paths.ts';
import type { Terminal } from './terminal.ts';
import { version } from './version.ts';

export interface RunArguments {
  readonly config?: string;
  readonly socksOnly?: boolean;
}

/** @throws GateError */
export async function run(options: RunArguments, paths: Paths, terminal: Terminal, signal: AbortSignal): Promise<void> {
  // Whoever may change the file decides what is done with these rights, also when most of them have been given up.
  const { uid } = currentEnvironment();
  const readFile = createConfigReader(options.config, paths, uid);
  const read = async () => {
    const config = await readFile();
    return options.socksOnly === true ? { ...config, vpn: { ...config.vpn, enabled: false } } : config;
  };
  const config = await read();
  const reading = { paths: paths, read };
  const { print: announce, isScreen: revealed } = terminal;
  await runGateway({ config, reading, version: version(), announce, revealed, signal });
}
