/** The history as the page holds it: what is asked for, in which order answers come, what is deleted. */

import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { createHistoryApi, type HistoryApi } from "../src/api/history";
import { joined } from "../src/document/answers";
import { createHistory, type History, originOf, settingsOf } from "../src/state/history";
import type { HistoryPage, Kept } from "../src/wire";
import { settle } from "./fakes";

function kept(id: string, over: Partial<Kept["parameters"]> = {}): Kept {
  return {
    id,
    created_at: "2026-03-01T12:00:00Z",
    model: "tiny",
    outcome: "completed",
    prompt: "Once",
    texts: [" upon a time"],
    parameters: { strategy: "sampling", params: { temperature: 0.8 }, max_new_tokens: 12, num_sequences: 1, ...over },
    prompt_tokens: 2,
    completion_tokens: 3,
  };
}

/** Answers when the test says so. */
class FakeHistoryApi implements HistoryApi {
  readonly exportUrl = "/history/export";
  readonly asked: (readonly [string, string | null])[] = [];
  readonly removed: string[] = [];
  refusal: Error | null = null;
  #answers: ((page: HistoryPage | Error) => void)[] = [];

  page(words: string, after: string | null): Promise<HistoryPage> {
    this.asked.push([words, after]);
    return new Promise((resolve, reject) =>
      this.#answers.push((page) => (page instanceof Error ? reject(page) : resolve(page))),
    );
  }

  /** The answer to the question that was asked as the `turn`th. */
  async answer(turn: number, page: HistoryPage | Error): Promise<void> {
    this.#answers[turn]?.(page);
    await settle();
  }

  async remove(id: string): Promise<void> {
    if (this.refusal) throw this.refusal;
    this.removed.push(id);
  }

  async removeAll(): Promise<void> {
    if (this.refusal) throw this.refusal;
    this.removed.push("all");
  }
}

let api: FakeHistoryApi;
let history: History;

beforeEach(() => {
  vi.useFakeTimers();
  api = new FakeHistoryApi();
  history = createHistory(api);
});

afterEach(() => void vi.useRealTimers());

function ids(): string[] {
  return history.entries.value.map(({ id }) => id);
}

describe("reading", () => {
  test("goes on after the last entry that is shown", async () => {
    void history.load();
    await api.answer(0, { entries: [kept("b"), kept("a")], has_more: true });
    void history.more();
    await api.answer(1, { entries: [kept("0")], has_more: false });

    expect(api.asked).toEqual([["", null], ["", "a"]]);
    expect(ids()).toEqual(["b", "a", "0"]);
    expect(history.hasMore.value).toBe(false);
  });

  test("asks once the typing rests, and leaves late answers to earlier words unread", async () => {
    history.search("gre");
    vi.advanceTimersByTime(100);
    history.search("grey");
    vi.advanceTimersByTime(1000);
    history.search("grey heron");
    vi.advanceTimersByTime(1000);
    await api.answer(1, { entries: [kept("heron")], has_more: false });
    await api.answer(0, { entries: [kept("wolf")], has_more: true });

    expect(api.asked).toEqual([["grey", null], ["grey heron", null]]);
    expect(ids()).toEqual(["heron"]);
    expect(history.hasMore.value).toBe(false);
  });

  test("a failure is told, and what was read before stays; the next answer takes it back", async () => {
    void history.load();
    await api.answer(0, { entries: [kept("a")], has_more: true });
    void history.more();
    await api.answer(1, new Error("No answer."));
    expect(history.problem.value).toBe("No answer.");
    expect(history.isLoading.value).toBe(false);
    expect(ids()).toEqual(["a"]);

    void history.load();
    await api.answer(2, { entries: [], has_more: false });
    expect(history.problem.value).toBeNull();
  });
});

describe("deleting", () => {
  beforeEach(async () => {
    void history.load();
    await api.answer(0, { entries: [kept("b"), kept("a")], has_more: false });
  });

  test("one leaves the others", async () => {
    await history.remove("b");

    expect(api.removed).toEqual(["b"]);
    expect(ids()).toEqual(["a"]);
  });

  test("that is refused leaves everything and says why", async () => {
    api.refusal = new Error("Not now.");
    await history.remove("b");
    await history.removeAll();

    expect(ids()).toEqual(["b", "a"]);
    expect(history.problem.value).toBe("Not now.");
  });

  test("all leaves what the server still has", async () => {
    const deleting = history.removeAll();
    await settle();
    await api.answer(1, { entries: [], has_more: false });
    await deleting;

    expect(ids()).toEqual([]);
  });
});

describe("opening", () => {
  test("brings the settings without the seed, and the seed with the text", () => {
    const entry = kept("a", { seed: 7, adapter: "pirate", stop: ["\n"], num_sequences: 2, min_new_tokens: 0 });
    const chosen = { temperature: 0.8, max_new_tokens: 12, stop: ["\n"], num_return_sequences: 2 };

    expect(settingsOf(entry)).toEqual({ model: "tiny", adapter: "pirate", strategy: "sampling", chosen });
    expect(originOf(entry).asked).toEqual({ model: "tiny", adapter: "pirate", strategy: "sampling", ...chosen });
    expect(originOf(entry).report).toMatchObject({ seed: 7, tokens: 3, promptTokens: 2, phase: "idle" });
  });

  test("puts an answer of its own into a paragraph of its own", () => {
    expect(joined("Once", " upon", "gpt2")).toBe("Once upon");
    expect(joined("Translate: one", "eins", "t5")).toBe("Translate: one\n\neins");
  });
});

describe("the routes", () => {
  test.each([
    ["", null, "/history?limit=20"],
    ["", "hist_1", "/history?limit=20&after=hist_1"],
    ["grey & heron", "hist_1", "/history/search?limit=20&q=grey+%26+heron&after=hist_1"],
  ])("%j after %j is %s", async (words, after, path) => {
    const page = { entries: [], has_more: false };
    const fetched = vi.spyOn(globalThis, "fetch").mockResolvedValue(new Response(JSON.stringify(page)));
    expect(await createHistoryApi("http://test").page(words, after)).toEqual(page);
    expect(fetched.mock.lastCall?.[0]).toBe(`http://test${path}`);
    fetched.mockRestore();
  });
});
