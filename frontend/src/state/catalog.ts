/** Which strategies and models the server offers. Knows nothing of what is done with them. */

import { type ReadonlySignal, signal } from "@preact/signals";
import type { Client } from "../api/client";
import type { Recipe } from "../parameters/values";
import { chosenSeed } from "../parameters/values";
import type { Settings } from "../storage/draft";
import type { Model, ModelCatalog, Strategy, StrategyCatalog } from "../wire";

export type Connection = "connecting" | "ready" | "offline";

export interface Catalog {
  readonly connection: ReadonlySignal<Connection>;
  readonly problem: ReadonlySignal<string | null>;
  readonly strategies: ReadonlySignal<readonly Strategy[]>;
  readonly models: ReadonlySignal<readonly Model[]>;
  strategyOf(settings: Settings): Strategy | null;
  modelOf(settings: Settings): Model | null;
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

export function createCatalog(client: Client): Catalog {
  const connection = signal<Connection>("connecting");
  const problem = signal<string | null>(null);
  const strategyCatalog = signal<StrategyCatalog>({ strategies: [], default: "" });
  const modelCatalog = signal<ModelCatalog>({ models: [], default: "" });
  const strategies = signal<readonly Strategy[]>([]);
  const models = signal<readonly Model[]>([]);
  let timer: ReturnType<typeof setTimeout> | undefined;

  async function attempt(numFailed: number): Promise<void> {
    clearTimeout(timer);
    try {
      const [newStrategies, newModels] = await Promise.all([client.strategies(), client.models()]);
      strategyCatalog.value = newStrategies;
      strategies.value = newStrategies.strategies;
      setModels(newModels);
      problem.value = null;
      connection.value = "ready";
    } catch (error) {
      problem.value = error instanceof Error ? error.message : String(error);
      connection.value = "offline";
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
      setModels(await client.models());
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

  return {
    connection,
    problem,
    strategies,
    models,
    strategyOf,
    modelOf,
    recipeOf(settings) {
      const strategy = strategyOf(settings);
      const model = modelOf(settings);
      if (strategy === null || model === null) return null;
      return { model: model.id, strategy, chosen: settings.chosen, seed: chosenSeed(settings.chosen) };
    },
    connect: () => void attempt(0),
    refreshModels,
  };
}
