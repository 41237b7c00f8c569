/** What choosing a preset does to the values a user chose. Pure. */

import type { Preset, Strategy, Values } from "../wire";
import { choose, isDefault, SEED, valueOf } from "./values";

/** What to write and how much of it is a user's own affair; a preset leaves it alone. */
const OWN: ReadonlySet<string> = new Set([
  SEED,
  "max_new_tokens",
  "min_new_tokens",
  "num_return_sequences",
  "stop",
  "negative_prompt",
  "topic_words",
  "attribute",
  "force_words",
]);

export function withPreset(strategy: Strategy, chosen: Values, preset: Preset): Values {
  let values = chosen;
  for (const parameter of strategy.parameters) {
    const value = preset.values[parameter.name];
    if (value !== undefined) values = choose(values, parameter, value);
    else if (!OWN.has(parameter.name)) values = choose(values, parameter, parameter.default);
  }
  return values;
}

/** Whether the values are those of the preset, whatever a user's own affair is. */
export function matchesPreset(strategy: Strategy, chosen: Values, preset: Preset): boolean {
  return strategy.parameters.every((parameter) => {
    const value = preset.values[parameter.name];
    if (value !== undefined) return JSON.stringify(valueOf(parameter, chosen)) === JSON.stringify(value);
    return OWN.has(parameter.name) || isDefault(parameter, chosen);
  });
}
