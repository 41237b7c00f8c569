/** The values a user chose for a strategy, and the request they make. Knows nothing of how it is sent. */

import type { Asked, Parameter, Strategy, Value, Values } from "../wire";

/** The seed belongs to a run, not to the look of a strategy, and travels by its own name. */
export const SEED = "seed";

export function valueOf(parameter: Parameter, chosen: Values): Value {
  const value = chosen[parameter.name];
  return value === undefined ? parameter.default : value;
}

export function isDefault(parameter: Parameter, chosen: Values): boolean {
  return same(valueOf(parameter, chosen), parameter.default);
}

export function choose(chosen: Values, parameter: Parameter, value: Value): Values {
  if (same(value, parameter.default)) return without(chosen, parameter.name);
  return { ...chosen, [parameter.name]: value };
}

export function without(chosen: Values, name: string): Values {
  const { [name]: _, ...rest } = chosen;
  return rest;
}

export function numChanged(strategy: Strategy, chosen: Values): number {
  return strategy.parameters.filter((parameter) => !isDefault(parameter, chosen)).length;
}

/**
 * What is on the screen, as a request: every main parameter by name, so that the same request means the same
 * under other server defaults, and from the rest what was changed.
 */
export function sentValues(strategy: Strategy, chosen: Values): Record<string, Value> {
  const sent: Record<string, Value> = {};
  for (const parameter of strategy.parameters) {
    if (parameter.name === SEED) continue;
    const value = valueOf(parameter, chosen);
    const isShown = parameter.group === "main" || !isDefault(parameter, chosen);
    if (isShown && value !== null) sent[parameter.name] = value;
  }
  return sent;
}

export interface Recipe {
  readonly model: string;
  readonly adapter: string | null;
  readonly strategy: Strategy;
  readonly chosen: Values;
  readonly seed: number | null;
}

export function askFor(recipe: Recipe): Asked {
  const { model, adapter, strategy, chosen, seed } = recipe;
  return {
    model,
    ...(adapter === null ? {} : { adapter }),
    strategy: strategy.id,
    ...sentValues(strategy, chosen),
    ...(seed === null ? {} : { seed }),
  };
}

export function chosenSeed(chosen: Values): number | null {
  const seed = chosen[SEED];
  return typeof seed === "number" ? seed : null;
}

function same(a: Value, b: Value): boolean {
  return a === b || JSON.stringify(a) === JSON.stringify(b);
}
