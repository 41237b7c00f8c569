/** Which token is asked about. Knows nothing of where tokens stand or what is shown of them. */

import { type ReadonlySignal, signal } from "@preact/signals";

/** Who passes over a token on the way to another, or to what is shown of one, does not ask about it. */
export const REST_MS = 120;

export interface Pointing {
  readonly token: ReadonlySignal<number | null>;
  /** The mouse is over this one; it is asked about once the mouse rests on it. */
  pass(token: number | null): void;
  /** This one and no other, at once. */
  choose(token: number | null): void;
}

export function createPointing(): Pointing {
  const token = signal<number | null>(null);
  let passed: number | null = null;
  let timer: ReturnType<typeof setTimeout> | undefined;

  function choose(chosen: number | null): void {
    clearTimeout(timer);
    passed = chosen;
    token.value = chosen;
  }

  return {
    token,
    choose,
    pass(over) {
      if (over === passed) return;
      clearTimeout(timer);
      passed = over;
      if (over !== null) timer = setTimeout(() => choose(over), REST_MS);
    },
  };
}
