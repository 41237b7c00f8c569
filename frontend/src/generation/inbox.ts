/** Collects what arrives and hands it over once per frame. Knows nothing of what it carries. */

export interface Inbox<T> {
  put(item: T): void;
  /** Hands over what is waiting, now. */
  flush(): void;
  /** Forgets what is waiting. */
  discard(): void;
}

export type Schedule = (callback: () => void) => void;

/** A hidden page draws no frames; it still has to take in its mail. */
const LATEST_MS = 250;

export const nextFrame: Schedule = (callback) => {
  const frame = requestAnimationFrame(run);
  const timer = setTimeout(run, LATEST_MS);

  function run(): void {
    cancelAnimationFrame(frame);
    clearTimeout(timer);
    callback();
  }
};

export function createInbox<T>(deliver: (items: readonly T[]) => void, schedule: Schedule = nextFrame): Inbox<T> {
  let waiting: T[] = [];
  let isScheduled = false;

  function flush(): void {
    isScheduled = false;
    if (waiting.length === 0) return;
    const items = waiting;
    waiting = [];
    deliver(items);
  }

  return {
    put(item) {
      waiting.push(item);
      if (isScheduled) return;
      isScheduled = true;
      schedule(flush);
    },
    flush,
    discard() {
      waiting = [];
    },
  };
}
