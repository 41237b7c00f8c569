/** What a remedy changes in the settings, and what its button says. Knows nothing of screens. */

import { without } from "../parameters/values";
import type { Settings } from "../storage/draft";
import type { Catalog } from "./catalog";
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
    case "default-model":
      return `Use ${catalog.modelOf({ ...settings, model: null })?.label ?? "the default model"}`;
  }
}
