/** Follows one stream of events to its end. Knows nothing of what the events change. */

import { RequestFailed, type Failure } from "../api/failure";
import { createInbox, type Schedule } from "../generation/inbox";
import type { StreamEvent } from "../wire";

export interface Listener {
  /** Everything that came since the last frame. */
  receive(events: readonly StreamEvent[]): void;
  end(): void;
  fail(failure: Failure): void;
}

export interface Following {
  /** Closes the connection, which cancels the work; nothing is heard after it. */
  stop(): void;
  /** Like `stop`, but what came since the last frame is forgotten. */
  drop(): void;
}

export type OpenStream = (signal: AbortSignal) => AsyncIterable<StreamEvent>;

export function follow(open: OpenStream, listener: Listener, schedule?: Schedule): Following {
  const controller = new AbortController();
  const inbox = createInbox<StreamEvent>((events) => listener.receive(events), schedule);
  let isOver = false;

  async function run(): Promise<void> {
    try {
      for await (const event of open(controller.signal)) {
        if (isOver) return;
        inbox.put(event);
      }
      settle(() => listener.end());
    } catch (error) {
      settle(() => listener.fail(failureOf(error)));
    }
  }

  function settle(tell: () => void): void {
    if (isOver) return;
    inbox.flush();
    isOver = true;
    tell();
  }

  function close(): void {
    isOver = true;
    inbox.discard();
    controller.abort();
  }

  void run();
  return {
    stop() {
      if (!isOver) inbox.flush();
      close();
    },
    drop: close,
  };
}

function failureOf(error: unknown): Failure {
  if (error instanceof RequestFailed) return error.failure;
  const message = error instanceof Error ? error.message : String(error);
  return { kind: "broken", message: `The page could not read the answer: ${message}`, param: null, code: null };
}
