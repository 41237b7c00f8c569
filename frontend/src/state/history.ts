/** What was generated for who uses the page, as the server keeps it. Knows nothing of the screen. */

import { batch, type ReadonlySignal, signal } from "@preact/signals";
import type { HistoryApi } from "../api/history";
import type { Origin } from "../document/tree";
import { IDLE } from "../generation/report";
import type { Settings } from "../storage/draft";
import type { Kept, Values } from "../wire";

export interface History {
  readonly exportUrl: string;
  readonly entries: ReadonlySignal<readonly Kept[]>;
  /** What all entries have; empty for the whole history. */
  readonly words: ReadonlySignal<string>;
  readonly hasMore: ReadonlySignal<boolean>;
  readonly isLoading: ReadonlySignal<boolean>;
  readonly problem: ReadonlySignal<string | null>;
  /** From the newest on. */
  load(): Promise<void>;
  more(): Promise<void>;
  /** Once the typing rests. */
  search(words: string): void;
  remove(id: string): Promise<void>;
  removeAll(): Promise<void>;
}

const TYPING_PAUSE_MS = 250;

export function createHistory(api: HistoryApi): History {
  const entries = signal<readonly Kept[]>([]);
  const words = signal("");
  const hasMore = signal(false);
  const isLoading = signal(false);
  const problem = signal<string | null>(null);
  let asked = 0;
  let timer: ReturnType<typeof setTimeout> | undefined;

  /** An answer to what is not asked any more is left unread. */
  async function load(before: readonly Kept[] = []): Promise<void> {
    clearTimeout(timer);
    asked += 1;
    const question = asked;
    isLoading.value = true;
    const answer = await api.page(words.value.trim(), before.at(-1)?.id ?? null).catch(tell);
    if (question !== asked) return;
    batch(() => {
      isLoading.value = false;
      if (typeof answer === "string") {
        problem.value = answer;
        return;
      }
      problem.value = null;
      entries.value = [...before, ...answer.entries];
      hasMore.value = answer.has_more;
    });
  }

  async function change(deleting: Promise<void>, left: (all: readonly Kept[]) => readonly Kept[]): Promise<void> {
    const refusal = await deleting.then(() => null, tell);
    problem.value = refusal;
    if (refusal === null) entries.value = left(entries.value);
  }

  return {
    exportUrl: api.exportUrl,
    entries,
    words,
    hasMore,
    isLoading,
    problem,
    load: () => load(),
    more: () => load(entries.value),
    search(sought) {
      words.value = sought;
      clearTimeout(timer);
      timer = setTimeout(() => void load(), TYPING_PAUSE_MS);
    },
    remove: (id) => change(api.remove(id), (all) => all.filter((entry) => entry.id !== id)),
    async removeAll() {
      await change(api.removeAll(), () => []);
      if (problem.value === null) await load();
    },
  };
}

function tell(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The settings that such a text is written with again; without its seed, so that it is another. */
export function settingsOf({ model, parameters }: Kept): Settings {
  return { model, adapter: parameters.adapter ?? null, strategy: parameters.strategy, chosen: chosenOf(parameters) };
}

/** How a text came about, with its seed: for the code that brings it again. */
export function originOf({ model, parameters, prompt_tokens, completion_tokens }: Kept): Origin {
  const { adapter, strategy, seed } = parameters;
  const asked = { model, ...(adapter ? { adapter } : {}), strategy, ...chosenOf(parameters) };
  return { asked, report: { ...IDLE, promptTokens: prompt_tokens, tokens: completion_tokens, seed: seed ?? null } };
}

/** Fields of a request, but for those that say nothing. */
function chosenOf({ params, max_new_tokens, min_new_tokens, num_sequences, stop }: Kept["parameters"]): Values {
  return {
    ...params,
    ...(max_new_tokens ? { max_new_tokens } : {}),
    ...(min_new_tokens ? { min_new_tokens } : {}),
    ...(stop?.length ? { stop } : {}),
    ...(num_sequences && num_sequences > 1 ? { num_return_sequences: num_sequences } : {}),
  };
}
