/** One quiet line that says how things are, with a button that does what helps. */

import type { JSX } from "preact";
import type { Remedy, Status } from "../state/status";

interface Props {
  readonly status: Status;
  /** The words of the remedy's button; `null` when this screen has no such remedy. */
  readonly remedyLabel: string | null;
  onRemedy(remedy: Remedy): void;
}

export function StatusLine({ status, remedyLabel, onRemedy }: Props): JSX.Element {
  const { remedy } = status;
  return (
    <div class="status" data-tone={status.tone} role="status">
      <span class="status-text" title={status.text}>
        {status.text}
      </span>
      {remedy !== null && remedyLabel !== null && (
        <button type="button" class="button outlined" onClick={() => onRemedy(remedy)}>
          {remedyLabel}
        </button>
      )}
    </div>
  );
}
