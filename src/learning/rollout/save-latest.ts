/** Saves one after another; of those that wait only the last. */
export interface Saver<T> {
  save(value: T): void;
  /** Undefined where nothing is being saved. */
  pending(): Promise<void> | undefined;
}

export function createSaver<T>(
  write: (value: T) => Promise<void>,
  onFailure: (error: unknown) => void,
): Saver<T> {
  let waiting: { readonly value: T } | undefined;
  let running: Promise<void> | undefined;

  async function run(): Promise<void> {
    while (waiting) {
      const { value } = waiting;
      waiting = undefined;
      await write(value).catch(onFailure);
    }
    running = undefined;
  }

  return {
    save(value) {
      waiting = { value };
      running ??= run();
    },
    pending: () => running,
  };
}
