/**
 * Starting and stopping. A constructor only remembers; `start` acts and either succeeds whole or leaves nothing behind;
 * `stop` may be called at any time, any number of times, and never throws.
 */
export interface Service {
  readonly name: string;
  start(signal: AbortSignal): Promise<void>;
  stop(): Promise<void>;
}

/**
 * Starts services one after another. When one fails, those already started are stopped in reverse order and the failure
 * is thrown.
 *
 * @returns a function that stops all of them in reverse order
 */
export async function startInOrder(services: readonly Service[], signal: AbortSignal): Promise<() => Promise<void>> {
  const started: Service[] = [];
  const stopAll = async () => {
    for (const service of started.splice(0).reverse()) await service.stop();
  };
  for (const service of services) {
    try {
      await service.start(signal);
      started.push(service);
    } catch (error) {
      await stopAll();
      throw error;
    }
  }
  return stopAll;
}
