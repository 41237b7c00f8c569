/** What could be written next, looked up where the page asks and for the end of the text. Knows nothing of the screen. */

import { computed, effect, type ReadonlySignal, signal } from "@preact/signals";
import type { Client } from "../api/client";
import { askFor } from "../parameters/values";
import type { Asked, NextToken } from "../wire";
import type { Catalog } from "./catalog";
import type { Writing } from "./writing";

export interface Lens {
  /** For the text and the settings on the screen; `null` while it is not known. */
  readonly ahead: ReadonlySignal<NextToken | null>;
  /** What could have followed `prompt`. `null` when the server cannot tell. */
  look(prompt: string, asked: Asked, signal: AbortSignal): Promise<NextToken | null>;
}

/** As many candidates as any list on the page shows, and more, so that most tokens of a text are among them. */
const NUM_CANDIDATES = 50;
const MAX_KEPT = 64;
/** Who is still typing or turning a knob is not looked over the shoulder. */
const PAUSE_MS = 400;

export function createLens(client: Client, catalog: Catalog, writing: Writing): Lens {
  const ahead = signal<NextToken | null>(null);
  const kept = new Map<string, NextToken>();

  async function look(prompt: string, asked: Asked, abort: AbortSignal): Promise<NextToken | null> {
    const request = { ...asked, prompt, candidates: NUM_CANDIDATES };
    const key = JSON.stringify(request);
    const known = kept.get(key);
    if (known !== undefined) return known;
    const found = await client.nextToken(request, abort).catch(() => null);
    if (found === null) return null;
    const oldest = kept.keys().next().value;
    if (kept.size >= MAX_KEPT && oldest !== undefined) kept.delete(oldest);
    kept.set(key, found);
    return found;
  }

  const question = computed(() => {
    const recipe = catalog.recipeOf(writing.settings.value);
    const isLoaded = catalog.modelOf(writing.settings.value)?.state === "loaded";
    const prompt = writing.tree.value.text;
    if (recipe === null || !isLoaded || writing.isRunning.value || prompt === "") return null;
    return { prompt, asked: askFor(recipe) };
  });

  effect(() => {
    const asked = question.value;
    if (asked === null) {
      ahead.value = null;
      return;
    }
    const controller = new AbortController();
    const timer = setTimeout(async () => {
      const found = await look(asked.prompt, asked.asked, controller.signal);
      if (!controller.signal.aborted) ahead.value = found;
    }, PAUSE_MS);
    return () => {
      clearTimeout(timer);
      controller.abort();
    };
  });

  return { ahead, look };
}
