/** One parameter: its name, a value that can be typed, a slider, a way back to the default. */

import type { JSX } from "preact";
import { useApp } from "../../app";
import { choose, isDefault, valueOf } from "../../parameters/values";
import type { Parameter, Value, Values } from "../../wire";
import { Icon } from "../Icon";
import { ChoiceControl, SwitchControl } from "./ChoiceControl";
import { JsonControl } from "./JsonControl";
import { NumberControl } from "./NumberControl";
import { SeedControl } from "./SeedControl";
import { StringsControl } from "./StringsControl";
import { TextControl } from "./TextControl";

export interface ParameterProps {
  readonly parameter: Parameter;
  readonly chosen: Values;
  /** Tells apart the same parameter in several columns. */
  readonly scope: string;
  /** The seed that made the text on the screen. */
  readonly usedSeed: number | null;
  onChange(chosen: Values): void;
}

export interface ControlProps {
  readonly id: string;
  readonly parameter: Parameter;
  readonly value: Value;
  readonly usedSeed: number | null;
  onValue(value: Value): void;
}

const CONTROLS = {
  float: NumberControl,
  int: NumberControl,
  bool: SwitchControl,
  choice: ChoiceControl,
  strings: StringsControl,
  names: StringsControl,
  words: StringsControl,
  alternatives: StringsControl,
  tokens: JsonControl,
  token_biases: JsonControl,
  word_biases: JsonControl,
  layers: JsonControl,
  start_and_factor: JsonControl,
  json: JsonControl,
  text: TextControl,
  prompt: TextControl,
  texts: StringsControl,
  seed: SeedControl,
} as const;

export function ParameterControl(props: ParameterProps): JSX.Element {
  const { parameter, chosen, scope, usedSeed, onChange } = props;
  const { screen } = useApp();
  const id = `${scope}-${parameter.name}`;
  const isChanged = !isDefault(parameter, chosen);
  const explain = (): void => void (screen.explained.value = parameter.name);
  const Control = CONTROLS[parameter.type];
  return (
    <div
      class="parameter"
      data-parameter={parameter.name}
      data-changed={isChanged}
      onPointerEnter={explain}
      onFocusIn={explain}
    >
      <label for={id} class="parameter-label">
        {parameter.label}
      </label>
      <button
        type="button"
        class="reset"
        disabled={!isChanged}
        aria-label={`Reset ${parameter.label}`}
        title={`Back to ${defaultLabel(parameter)}`}
        onClick={() => onChange(choose(chosen, parameter, parameter.default))}
      >
        <Icon name="reset" />
      </button>
      <Control
        id={id}
        parameter={parameter}
        value={valueOf(parameter, chosen)}
        usedSeed={usedSeed}
        onValue={(value) => onChange(choose(chosen, parameter, value))}
      />
      <span id={`${id}-help`} class="only-heard">
        {parameter.description} {parameter.effect}
      </span>
    </div>
  );
}

function defaultLabel({ default: value, choices }: Parameter): string {
  if (value === null || (Array.isArray(value) && value.length === 0)) return "none";
  return choices?.find((choice) => choice.value === value)?.label ?? String(value);
}
