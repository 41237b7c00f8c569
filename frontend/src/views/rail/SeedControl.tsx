/** The seed: a new one each time, or one that is kept so that the same text comes again. */

import type { JSX } from "preact";
import type { ControlProps } from "./ParameterControl";

export function SeedControl({ id, value, usedSeed, onValue }: ControlProps): JSX.Element {
  const seed = typeof value === "number" ? value : null;

  function commit(field: HTMLInputElement): void {
    const digits = field.value.trim();
    const isSeed = /^\d{1,15}$/.test(digits);
    if (digits === "") onValue(null);
    else if (isSeed) onValue(Number(digits));
    field.value = isSeed ? digits : seed === null ? "" : String(seed);
  }

  return (
    <>
      <span class="figure">
        <input
          id={id}
          class="seed"
          type="text"
          inputMode="numeric"
          autocomplete="off"
          value={seed === null ? "" : String(seed)}
          placeholder="new each time"
          aria-describedby={`${id}-help`}
          onChange={(event) => commit(event.currentTarget)}
        />
      </span>
      {usedSeed !== null && usedSeed !== seed && (
        <button type="button" class="used-seed" onClick={() => onValue(usedSeed)}>
          Keep {usedSeed}, used for this text
        </button>
      )}
    </>
  );
}
