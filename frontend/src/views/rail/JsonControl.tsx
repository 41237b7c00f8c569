/** A value with a shape of its own, such as pairs, typed as JSON. */

import { useState } from "preact/hooks";
import type { JSX } from "preact";
import type { Value } from "../../wire";
import type { ControlProps } from "./ParameterControl";

export function JsonControl({ id, value, onValue }: ControlProps): JSX.Element {
  const [isBroken, setBroken] = useState(false);

  function commit(text: string): void {
    const typed = parsed(text);
    setBroken(typed === undefined);
    if (typed !== undefined) onValue(typed);
  }

  return (
    <input
      id={id}
      class="json"
      type="text"
      autocomplete="off"
      spellcheck={false}
      placeholder="none"
      value={value === null ? "" : JSON.stringify(value)}
      aria-invalid={isBroken}
      aria-describedby={`${id}-help`}
      onChange={(event) => commit(event.currentTarget.value)}
    />
  );
}

/** `undefined` when it is not JSON. */
function parsed(text: string): Value | undefined {
  if (text.trim() === "") return null;
  try {
    return JSON.parse(text) as Value;
  } catch {
    return undefined;
  }
}
