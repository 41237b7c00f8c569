/** A text of a user's own, such as a pattern; it may have several lines. */

import type { JSX } from "preact";
import type { ControlProps } from "./ParameterControl";

export function TextControl({ id, value, onValue }: ControlProps): JSX.Element {
  return (
    <textarea
      id={id}
      class="json"
      rows={1}
      autocomplete="off"
      spellcheck={false}
      placeholder="none"
      value={typeof value === "string" ? value : ""}
      aria-describedby={`${id}-help`}
      onChange={(event) => onValue(event.currentTarget.value === "" ? null : event.currentTarget.value)}
    />
  );
}
