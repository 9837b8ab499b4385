/**
 * Starting and stopping. A constructor only remembers; `start` acts and either succeeds whole or leaves nothing behind;
 * `stop` may be called at any time, any number of times, and never throws.
 */
export interface Service {
  start(signal: AbortSignal): Promise<void>;
  stop(): Promise<void>;
}

/**
 * Starts services one after another. When one fails, those already started are stopped in reverse order and the failure
 * is thrown.
 *
 * @returns a function that stops all of them in reverse order, once, however often it is called. A `stop` that throws
 * against its word keeps no other service up; the first such error is thrown when all are down.
 */
export async function startInOrder(services: readonly Service[], signal: AbortSignal): Promise<() => Promise<void>> {
  const started: Service[] = [];
  for (const service of services) {
    try {
      await service.start(signal);
      started.push(service);
    } catch (error) {
      // Why the start failed matters more than what else went wrong while cleaning up.
      await stopInReverse(started);
      throw error;
    }
  }
  let stopping: Promise<readonly unknown[]> | undefined;
  return async () => {
    stopping ??= stopInReverse(started);
    const thrown = await stopping;
    if (thrown.length > 0) throw thrown[0];
  };
}

/** @returns what was thrown */
async function stopInReverse(services: readonly Service[]): Promise<readonly unknown[]> {
  const thrown: unknown[] = [];
  for (const service of services.toReversed()) {
    try {
      await service.stop();
    } catch (error) {
      thrown.push(error);
    }
  }
  return thrown;
}
