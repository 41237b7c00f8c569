/** Stand-ins for the server, the clock and the browser's drawers. */

import type { Client } from "../src/api/client";
import type { Catalog } from "../src/state/catalog";
import { createCatalog } from "../src/state/catalog";
import type { Clock } from "../src/state/writing";
import type {
  Adapter,
  CompareRequest,
  GenerateRequest,
  Model,
  ModelCatalog,
  NextToken,
  Parameter,
  Strategy,
  StreamEvent,
} from "../src/wire";

const LENGTH: Parameter = {
  name: "max_new_tokens",
  label: "Length",
  type: "int",
  minimum: 1,
  default: 100,
  group: "main",
  description: "How many tokens to write at most.",
};
const SEED: Parameter = { name: "seed", label: "Seed", type: "seed", default: null, group: "more", description: "" };
const TEMPERATURE: Parameter = { ...LENGTH, name: "temperature", label: "Temperature", type: "float", default: 0.8 };

function strategy(id: string, parameters: readonly Parameter[]): Strategy {
  return { id, label: id, type: id, description: "", color: "#000000", parameters };
}

export const MODEL: Model = {
  id: "tiny",
  label: "Tiny",
  family: "gpt2",
  description: "",
  num_parameters: 1,
  context_length: 512,
  dtype: null,
  state: "loaded",
  error: null,
  hub_id: null,
  aliases: [],
  builtin: true,
  disk_bytes: 1,
  memory_bytes: 1,
  licence: null,
  local: true,
};

/** A server that sends what the test tells it to, when it tells it to. */
export class FakeClient implements Client {
  readonly base = "http://test";
  readonly asked: (GenerateRequest | CompareRequest)[] = [];
  readonly lookedUp: GenerateRequest[] = [];
  isDown = false;
  isCancelled = false;
  #waiting: ((event: IteratorResult<StreamEvent> | Error) => void) | null = null;
  #sent: (IteratorResult<StreamEvent> | Error)[] = [];

  async strategies() {
    if (this.isDown) throw new Error("down");
    const strategies = [strategy("greedy", [LENGTH, SEED]), strategy("sampling", [TEMPERATURE, LENGTH, SEED])];
    return { default: "sampling", strategies };
  }

  offered: ModelCatalog = { default: "tiny", models: [MODEL] };
  adapted: readonly Adapter[] = [];

  async models() {
    return this.offered;
  }

  async adapters() {
    return { adapters: this.adapted };
  }

  generate(request: GenerateRequest, signal: AbortSignal) {
    return this.#stream(request, signal);
  }

  compare(request: CompareRequest, signal: AbortSignal) {
    return this.#stream(request, signal);
  }

  async nextToken(request: GenerateRequest): Promise<NextToken> {
    this.lookedUp.push(request);
    if (this.isDown) throw new Error("down");
    const top = [{ token: " upon", token_id: 1, logprob: -0.1 }];
    return { chosen: null, stages: [{ name: "model", num_kept: 9, mass_kept: 1, entropy_bits: 1, top }] };
  }

  /** Sends events and waits until the page has taken them in. */
  async send(...events: readonly StreamEvent[]): Promise<void> {
    for (const value of events) await this.#hand({ done: false, value });
  }

  end(): Promise<void> {
    return this.#hand({ done: true, value: undefined });
  }

  fail(error: Error): Promise<void> {
    return this.#hand(error);
  }

  async #hand(item: IteratorResult<StreamEvent> | Error): Promise<void> {
    await settle();
    if (this.#waiting === null) this.#sent.push(item);
    else this.#waiting(item);
    this.#waiting = null;
    await settle();
  }

  async *#stream(request: GenerateRequest | CompareRequest, signal: AbortSignal): AsyncGenerator<StreamEvent> {
    this.asked.push(request);
    this.isCancelled = false;
    this.#sent = [];
    signal.addEventListener("abort", () => (this.isCancelled = true));
    for (;;) {
      const item = this.#sent.shift() ?? (await new Promise<IteratorResult<StreamEvent> | Error>((resolve) => (this.#waiting = resolve)));
      if (item instanceof Error) throw item;
      if (item.done) return;
      yield item.value;
    }
  }
}

/** Lets everything that is ready to go on, go on. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 10; turn += 1) await Promise.resolve();
}

export class FakeClock implements Clock {
  milliseconds = 0;
  now = (): number => this.milliseconds;
  date = (): number => this.milliseconds;
  /** A frame comes at once. */
  schedule = (callback: () => void): void => callback();
}

export async function readyCatalog(client: Client): Promise<Catalog> {
  const catalog = createCatalog(client);
  catalog.connect();
  await settle();
  return catalog;
}

export class FakeStorage implements Storage {
  readonly #items = new Map<string, string>();
  get length(): number {
    return this.#items.size;
  }
  clear(): void {
    this.#items.clear();
  }
  getItem(key: string): string | null {
    return this.#items.get(key) ?? null;
  }
  key(index: number): string | null {
    return [...this.#items.keys()][index] ?? null;
  }
  removeItem(key: string): void {
    this.#items.delete(key);
  }
  setItem(key: string, value: string): void {
    this.#items.set(key, value);
  }
}

export const events = {
  start(over: Partial<Extract<StreamEvent, { event: "start" }>> = {}): StreamEvent {
    return {
      event: "start",
      id: "gen_1",
      model: "tiny",
      strategy: "sampling",
      unused_parameters: [],
      seed: 7,
      usage: { prompt_tokens: 2 },
      num_sequences: 1,
      ...over,
    };
  },
  token(text: string, over: { index?: number; column?: number } = {}): StreamEvent {
    return { event: "token", index: 0, text, token_ids: [1], ...over };
  },
  finish(text: string, over: { index?: number; column?: number } = {}): StreamEvent {
    return { event: "finish", index: 0, finish_reason: "length", tokens: 3, score: null, text, ...over };
  },
  done(text: string, over: { column?: number } = {}): StreamEvent {
    return {
      event: "done",
      id: "gen_1",
      generated_text: text,
      prompt: "",
      rendered_prompt: "",
      model: "tiny",
      strategy: "sampling",
      parameters: {},
      unused_parameters: [],
      seed: 7,
      sequences: [{ text, finish_reason: "length", tokens: 3, score: null }],
      usage: { prompt_tokens: 2, completion_tokens: 3, total_tokens: 5 },
      timings: { queue_ms: 0, prompt_ms: 1, first_token_ms: 2, generation_ms: 3, tokens_per_second: 50 },
      receipt: "rcpt_1",
      ...over,
    };
  },
};
