/** A button that deletes, once it was pressed again where it says so. */

import { useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { useLayoutEffect, useRef } from "preact/hooks";

interface Props {
  readonly label: string;
  /** What the button says before it does it. */
  readonly question: string;
  readonly describedBy?: string;
  onDelete(): Promise<void>;
}

export function Deleting({ label, question, describedBy, onDelete }: Props): JSX.Element {
  const isAsking = useSignal(false);
  const keep = useRef<HTMLButtonElement>(null);
  useLayoutEffect(() => {
    if (isAsking.value) keep.current?.focus(); // pressed once too often, nothing is lost
  }, [isAsking.value]);

  async function remove(): Promise<void> {
    isAsking.value = false;
    await onDelete();
  }

  if (!isAsking.value) {
    return (
      <button type="button" class="button plain" aria-describedby={describedBy} onClick={() => (isAsking.value = true)}>
        {label}
      </button>
    );
  }
  return (
    <span class="deleting" aria-describedby={describedBy}>
      <button type="button" class="button outlined danger" onClick={() => void remove()}>
        {question}
      </button>
      <button type="button" class="button plain" ref={keep} onClick={() => (isAsking.value = false)}>
        Keep
      </button>
    </span>
  );
}
