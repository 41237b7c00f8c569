/** One of several named values, or yes and no. */

import type { JSX } from "preact";
import type { ControlProps } from "./ParameterControl";

export function ChoiceControl({ id, parameter, value, onValue }: ControlProps): JSX.Element {
  return (
    <select
      id={id}
      value={typeof value === "string" ? value : ""}
      aria-describedby={`${id}-help`}
      onChange={(event) => onValue(event.currentTarget.value === "" ? null : event.currentTarget.value)}
    >
      {parameter.nullable && <option value="">none</option>}
      {parameter.choices?.map((choice) => (
        <option key={choice.value} value={choice.value}>
          {choice.label}
        </option>
      ))}
    </select>
  );
}

export function SwitchControl({ id, value, onValue }: ControlProps): JSX.Element {
  return (
    <input
      id={id}
      class="switch"
      type="checkbox"
      role="switch"
      checked={value === true}
      aria-describedby={`${id}-help`}
      onChange={(event) => onValue(event.currentTarget.checked)}
    />
  );
}
