import { beforeEach, describe, expect, test } from "vitest";
import { refused } from "../src/api/failure";
import { createWriting, seamOf, type Writing } from "../src/state/writing";
import type { StreamEvent } from "../src/wire";
import { events, FakeClient, FakeClock, readyCatalog, settle } from "./fakes";

let client: FakeClient;
let clock: FakeClock;
let writing: Writing;

beforeEach(async () => {
  client = new FakeClient();
  clock = new FakeClock();
  writing = createWriting(client, await readyCatalog(client), clock);
  writing.type("Once");
  clock.milliseconds = 10_000;
});

async function generated(text: string): Promise<void> {
  writing.generate();
  await client.send(events.start(), events.token(text), events.finish(text), events.done(text));
  await client.end();
}

describe("generating", () => {
  test("sends the whole text with every main setting by name", async () => {
    writing.generate();
    await settle();

    expect(client.asked).toEqual([
      { prompt: "Once", model: "tiny", strategy: "sampling", temperature: 0.8, max_new_tokens: 100, logprobs: 8 },
    ]);
  });

  test("what arrives grows after the seam, and the figures are the server's", async () => {
    await generated(" upon");

    expect(writing.tree.value.text).toBe("Once upon");
    expect(seamOf(writing.tree.value)).toBe("Once".length);
    expect(writing.shownReport.value).toMatchObject({ phase: "finished", seed: 7, tokens: 3, tokensPerSecond: 50 });
  });

  test("an answer that the server had already has no speed", async () => {
    writing.generate();
    const done = { ...events.done(" upon"), cached: true } as StreamEvent;
    await client.send(events.start(), events.token(" upon"), events.finish(" upon"), done);
    await client.end();

    expect(writing.shownReport.value).toMatchObject({ phase: "finished", tokens: 3, tokensPerSecond: null });
  });

  test("a text of its own begins a paragraph", async () => {
    writing.generate();
    await client.send(events.start({ continues_prompt: false }), events.token("Il"), events.token(" y a"));

    expect(writing.tree.value.text).toBe("Once\n\nIl y a");
  });

  test("line endings become the one that a text field knows", async () => {
    await generated("\r\nupon\r");

    expect(writing.tree.value.text).toBe("Once\nupon\n");
  });

  test("stop keeps what has arrived and closes the connection", async () => {
    writing.generate();
    await client.send(events.start(), events.token(" upon"));
    writing.stop();
    await client.send(events.token(" never"));

    expect(client.isCancelled).toBe(true);
    expect(writing.tree.value.text).toBe("Once upon");
    expect(writing.shownReport.value.phase).toBe("stopped");
  });

  test("typing while text arrives stops it and keeps the typing", async () => {
    writing.generate();
    await client.send(events.start(), events.token(" upon"));
    writing.type("Once upon!");

    expect(client.isCancelled).toBe(true);
    expect(writing.tree.value.text).toBe("Once upon!");
    expect(seamOf(writing.tree.value)).toBe("Once upon!".length);
  });

  test("a refusal leaves the text and the tree as they were", async () => {
    const before = writing.tree.value;
    writing.generate();
    await client.fail(refused({ message: "No.", type: "t", param: "temperature", code: "invalid_parameter" }));

    expect(writing.tree.value.nodes).toEqual(before.nodes);
    expect(writing.shownReport.value.failure?.message).toBe("No.");
  });

  test("a failure in the middle keeps what has arrived", async () => {
    writing.generate();
    await client.send(events.start(), events.token(" upon"));
    await client.fail(refused({ message: "Out of memory.", type: "t", param: null, code: null }));

    expect(writing.tree.value.text).toBe("Once upon");
    expect(writing.shownReport.value.phase).toBe("failed");
  });

  test("other versions of one request become branches beside the first", async () => {
    writing.generate();
    await client.send(events.start({ num_sequences: 2 } as never), events.token(" a"), events.token(" b", { index: 1 }));
    expect(writing.shownReport.value.tokens).toBe(1);
    await client.send(events.finish(" a"), events.finish(" b", { index: 1 }), events.done(" a"));
    await client.end();
    const { current, nodes } = writing.tree.value;

    expect(writing.tree.value.text).toBe("Once a");
    expect(nodes.map(({ patch }) => patch.inserted).filter((text) => text === " b")).toHaveLength(1);
    expect(writing.shownReport.value.tokens).toBe(3);
    expect(nodes[current]?.parent).toBe(nodes.at(-1)?.parent);
  });
});

describe("again, undo and redo", () => {
  test("again writes from the seam beside the first text; both are kept", async () => {
    await generated(" upon");
    writing.again();
    await client.send(events.start({ seed: 8 } as never), events.token(" there"), events.done(" there"));
    await client.end();

    expect(client.asked.at(-1)?.prompt).toBe("Once");
    expect(writing.tree.value.text).toBe("Once there");
    writing.undo();
    expect(writing.tree.value.text).toBe("Once");
    writing.go(2);
    expect(writing.tree.value.text).toBe("Once upon");
  });

  test("again with a kept seed takes a new one, and says which", async () => {
    writing.settings.value = { ...writing.settings.value, chosen: { seed: 7 } };
    await generated(" upon");
    writing.again();
    await settle();
    const { seed } = client.asked.at(-1) as { seed: number };

    expect(seed).not.toBe(7);
    expect(writing.settings.value.chosen.seed).toBe(seed);
  });

  test("again from a moved seam keeps the text before it", async () => {
    await generated(" upon a");
    writing.moveSeam("Once upon".length);
    writing.again();
    await settle();

    expect(client.asked.at(-1)?.prompt).toBe("Once upon");
    expect(writing.tree.value.text).toBe("Once upon");
  });

  test("undo while text arrives stops it and goes back to the prompt", async () => {
    writing.generate();
    await client.send(events.start(), events.token(" upon"));
    writing.undo();

    expect(client.isCancelled).toBe(true);
    expect(writing.tree.value.text).toBe("Once");
    writing.redo();
    expect(writing.tree.value.text).toBe("Once upon");
  });
});

describe("the request behind the screen", () => {
  test("is that of the text, with its seed, also after a setting was changed", async () => {
    await generated(" upon");
    writing.settings.value = { ...writing.settings.value, chosen: { temperature: 1.5 } };

    expect(writing.requestOfText()).toMatchObject({ prompt: "Once", temperature: 0.8, seed: 7 });
    expect(writing.requestOfSettings()).toMatchObject({ prompt: "Once", temperature: 1.5 });
    expect(writing.requestOfSettings()).not.toHaveProperty("seed");
  });
});
