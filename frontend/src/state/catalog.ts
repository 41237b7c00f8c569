/** Which strategies, models and adapters the server offers. Knows nothing of what is done with them. */

import { type ReadonlySignal, signal } from "@preact/signals";
import type { Client } from "../api/client";
import { RequestFailed } from "../api/failure";
import type { Recipe } from "../parameters/values";
import { chosenSeed } from "../parameters/values";
import type { Settings } from "../storage/draft";
import type { Adapter, Model, ModelCatalog, Strategy, StrategyCatalog } from "../wire";

export type Connection = "connecting" | "ready" | "offline";

export interface Catalog {
  readonly connection: ReadonlySignal<Connection>;
  readonly problem: ReadonlySignal<string | null>;
  readonly strategies: ReadonlySignal<readonly Strategy[]>;
  readonly models: ReadonlySignal<readonly Model[]>;
  strategyOf(settings: Settings): Strategy | null;
  modelOf(settings: Settings): Model | null;
  /** Those that can be used with the model of the settings. */
  adaptersOf(settings: Settings): readonly Adapter[];
  /** The one chosen, if it is one of these. */
  adapterOf(settings: Settings): string | null;
  /** `null` until the server has said what it offers. */
  recipeOf(settings: Settings): Recipe | null;
  /** Asks again now, and goes on asking until the server answers. */
  connect(): void;
  /** Looks at the models' states again. */
  refreshModels(): Promise<void>;
}

const RETRY_MS = [500, 1000, 2000, 4000];
const MOVING: ReadonlySet<string> = new Set(["loading", "unloading", "downloading"]);
const WATCH_MS = 2000;
const SHUT: ReadonlySet<string | null> = new Set(["not_signed_in", "password_change_required"]);

function isShut(error: unknown): boolean {
  return error instanceof RequestFailed && SHUT.has(error.failure.code);
}

export function createCatalog(client: Client): Catalog {
  const connection = signal<Connection>("connecting");
  const problem = signal<string | null>(null);
  const strategyCatalog = signal<StrategyCatalog>({ strategies: [], default: "" });
  const modelCatalog = signal<ModelCatalog>({ models: [], default: "" });
  const strategies = signal<readonly Strategy[]>([]);
  const models = signal<readonly Model[]>([]);
  const adapters = signal<readonly Adapter[]>([]);
  let timer: ReturnType<typeof setTimeout> | undefined;

  async function attempt(numFailed: number): Promise<void> {
    clearTimeout(timer);
    try {
      const [newStrategies, newModels, newAdapters] = await Promise.all([
        client.strategies(),
        client.models(),
        client.adapters(),
      ]);
      adapters.value = newAdapters.adapters;
      strategyCatalog.value = newStrategies;
      strategies.value = newStrategies.strategies;
      setModels(newModels);
      problem.value = null;
      connection.value = "ready";
    } catch (error) {
      problem.value = error instanceof Error ? error.message : String(error);
      connection.value = "offline";
      if (isShut(error)) return; // asking again does not help; signing in does
      timer = setTimeout(() => void attempt(numFailed + 1), RETRY_MS[Math.min(numFailed, RETRY_MS.length - 1)]);
    }
  }

  function setModels(catalog: ModelCatalog): void {
    modelCatalog.value = catalog;
    models.value = catalog.models;
    const isMoving = catalog.models.some(({ state }) => MOVING.has(state));
    clearTimeout(timer);
    if (isMoving) timer = setTimeout(() => void refreshModels(), WATCH_MS);
  }

  async function refreshModels(): Promise<void> {
    try {
      const [newModels, newAdapters] = await Promise.all([client.models(), client.adapters()]);
      adapters.value = newAdapters.adapters;
      setModels(newModels);
    } catch {
      void attempt(0); // says what is wrong and goes on asking
    }
  }

  function strategyOf(settings: Settings): Strategy | null {
    const { strategies: all, default: fallback } = strategyCatalog.value;
    const wanted = settings.strategy ?? fallback;
    return all.find(({ id }) => id === wanted) ?? all.find(({ id }) => id === fallback) ?? null;
  }

  function modelOf(settings: Settings): Model | null {
    const { models: all, default: fallback } = modelCatalog.value;
    const wanted = settings.model ?? fallback;
    return (
      all.find(({ id, aliases }) => id === wanted || aliases.includes(wanted)) ??
      all.find(({ id }) => id === fallback) ??
      null
    );
  }

  function adaptersOf(settings: Settings): readonly Adapter[] {
    const model = modelOf(settings);
    if (model === null) return [];
    return adapters.value.filter(
      ({ error, models: suited }) => error === null && (suited === null || suited.includes(model.id)),
    );
  }

  function adapterOf(settings: Settings): string | null {
    return adaptersOf(settings).find(({ name }) => name === settings.adapter)?.name ?? null;
  }

  return {
    connection,
    problem,
    strategies,
    models,
    strategyOf,
    modelOf,
    adaptersOf,
    adapterOf,
    recipeOf(settings) {
      const strategy = strategyOf(settings);
      const model = modelOf(settings);
      if (strategy === null || model === null) return null;
      const { chosen } = settings;
      return { model: model.id, adapter: adapterOf(settings), strategy, chosen, seed: chosenSeed(chosen) };
    },
    connect: () => void attempt(0),
    refreshModels,
  };
}
