/** What a remedy changes in the settings, and what its button says. Knows nothing of screens. */

import { without } from "../parameters/values";
import type { Settings } from "../storage/draft";
import type { Catalog } from "./catalog";
import type { Values } from "../wire";
import type { Remedy } from "./status";

/** The length that the page sends; a remedy may shorten it. */
const LENGTH = "max_new_tokens";

export function remedied(settings: Settings, remedy: Remedy): Settings {
  switch (remedy.kind) {
    case "shorten":
      return { ...settings, chosen: { ...settings.chosen, [LENGTH]: remedy.to } };
    case "reset":
      return { ...settings, chosen: without(settings.chosen, remedy.param) };
    case "default-model":
      return { ...settings, model: null };
    case "adjust":
      return adjusted(settings, remedy.settings);
    default:
      return settings;
  }
}

export function remedyLabel(remedy: Remedy, settings: Settings, catalog: Catalog): string {
  switch (remedy.kind) {
    case "go-on":
      return "Go on";
    case "try-again":
      return "Try again";
    case "shorten":
      return `Shorten length to ${remedy.to}`;
    case "reset": {
      const parameters = catalog.strategyOf(settings)?.parameters ?? [];
      return `Reset ${parameters.find(({ name }) => name === remedy.param)?.label ?? remedy.param}`;
    }
    case "adjust":
      return `Try ${adjustmentLabel(remedy.settings, settings, catalog)}`;
    case "limits":
      return "See what is left";
    case "default-model":
      return `Use ${catalog.modelOf({ ...settings, model: null })?.label ?? "the default model"}`;
  }
}

function adjusted(settings: Settings, { strategy, ...values }: Values): Settings {
  const named = typeof strategy === "string" ? strategy : settings.strategy;
  return { ...settings, strategy: named, chosen: { ...settings.chosen, ...values } };
}

/** The strategy that is changed to, or the first parameter with its value. */
function adjustmentLabel({ strategy, ...values }: Values, settings: Settings, catalog: Catalog): string {
  if (typeof strategy === "string") return catalog.strategyOf({ ...settings, strategy })?.label ?? strategy;
  const [name, value] = Object.entries(values)[0] ?? ["", null];
  const parameter = catalog.strategyOf(settings)?.parameters.find((known) => known.name === name);
  return `${parameter?.label ?? name} ${value}`;
}
