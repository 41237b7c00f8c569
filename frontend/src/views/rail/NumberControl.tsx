/** A number: a slider for the feel, a field for the figure. */

import type { JSX } from "preact";
import { fromPosition, nudge, offeredRange, POSITIONS, type Range, stepOf, toPosition, within } from "../../parameters/scale";
import type { Parameter } from "../../wire";
import type { ControlProps } from "./ParameterControl";

export function NumberControl({ id, parameter, value, onValue }: ControlProps): JSX.Element {
  const number = typeof value === "number" ? value : null;
  const range = offeredRange(parameter);
  return (
    <>
      <NumberField id={id} parameter={parameter} number={number} onNumber={onValue} />
      {range !== null && (
        <Slider id={id} parameter={parameter} number={number} range={range} onNumber={onValue} />
      )}
    </>
  );
}

interface FieldProps {
  readonly id: string;
  readonly parameter: Parameter;
  readonly number: number | null;
  onNumber(number: number | null): void;
}

/** An empty field means “off” where the parameter has that, and otherwise changes nothing. */
function NumberField({ id, parameter, number, onNumber }: FieldProps): JSX.Element {
  function commit(field: HTMLInputElement): void {
    const typed = Number(field.value.trim().replace(",", "."));
    if (field.value.trim() === "" && parameter.nullable) onNumber(null);
    else if (field.value.trim() !== "" && Number.isFinite(typed)) onNumber(within(typed, parameter));
    field.value = number === null ? "" : String(number); // the new number, when there is one, is drawn next
  }

  return (
    <span class="figure">
      <input
        id={id}
        type="text"
        inputMode={parameter.type === "int" ? "numeric" : "decimal"}
        autocomplete="off"
        size={5}
        value={number === null ? "" : String(number)}
        placeholder={parameter.nullable ? "off" : ""}
        aria-describedby={`${id}-help`}
        onChange={(event) => commit(event.currentTarget)}
        onFocus={(event) => event.currentTarget.select()}
        onKeyDown={(event) => event.key === "Enter" && !event.ctrlKey && !event.metaKey && commit(event.currentTarget)}
      />
      {parameter.unit && <span class="unit">{parameter.unit}</span>}
    </span>
  );
}

interface SliderProps extends FieldProps {
  readonly range: Range;
}

function Slider({ id, parameter, number, range, onNumber }: SliderProps): JSX.Element {
  const shown = number ?? range.low;
  const position = toPosition(shown, parameter, range);
  return (
    <input
      class="slider"
      type="range"
      min={0}
      max={POSITIONS}
      value={position}
      data-off={number === null}
      style={{ "--share": `${(100 * position) / POSITIONS}%` }}
      aria-label={parameter.label}
      aria-valuetext={number === null ? "off" : `${number} ${parameter.unit ?? ""}`.trim()}
      aria-describedby={`${id}-help`}
      onInput={(event) => onNumber(fromPosition(Number(event.currentTarget.value), parameter, range))}
      onKeyDown={(event) => {
        const turned = turn(event.key, shown, parameter, range);
        if (turned === null) return;
        event.preventDefault();
        onNumber(turned);
      }}
    />
  );
}

/** Arrow keys go by the parameter's own steps, not by the slider's positions. */
function turn(key: string, number: number, parameter: Parameter, range: Range): number | null {
  switch (key) {
    case "ArrowRight":
    case "ArrowUp":
      return nudge(number, 1, parameter, range);
    case "ArrowLeft":
    case "ArrowDown":
      return nudge(number, -1, parameter, range);
    case "PageUp":
      return leap(number, 1, parameter, range);
    case "PageDown":
      return leap(number, -1, parameter, range);
    case "Home":
      return range.low;
    case "End":
      return range.high;
    default:
      return null;
  }
}

function leap(number: number, direction: 1 | -1, parameter: Parameter, range: Range): number {
  const position = toPosition(number, parameter, range) + (direction * POSITIONS) / 10;
  const there = fromPosition(position, parameter, range);
  const least = number + direction * stepOf(parameter);
  return direction * (there - least) > 0 ? there : nudge(number, direction, parameter, range);
}
