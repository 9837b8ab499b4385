/** The machine on which something was measured, so that the figures can be read by somebody else. */
import { availableParallelism, cpus, loadavg, release, totalmem } from 'node:os';

export interface Machine {
  readonly processor: string;
  readonly cores: number;
  readonly memoryBytes: number;
  readonly kernel: string;
  readonly node: string;
  /** Programs that wanted a core in the last minute, before the measurement: neighbours. */
  readonly loadBefore: number;
}

export function describeMachine(): Machine {
  return {
    processor: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    memoryBytes: totalmem(),
    kernel: release(),
    node: process.versions.node,
    loadBefore: loadavg()[0] ?? 0,
  };
}

export function machineLine({ processor, cores, memoryBytes, kernel, node, loadBefore }: Machine): string {
  const memory = `${Math.round(memoryBytes / 2 ** 30)} GiB`;
  return `${cores} cores of ${processor}, ${memory}, Linux ${kernel}, Node ${node}; load before: ${loadBefore.toFixed(2)}`;
}
