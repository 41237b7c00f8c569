import { beforeEach, describe, expect, test } from "vitest";
import { spanAt, spansOf } from "../src/document/spans";
import { rankOf, surpriseOf } from "../src/generation/choices";
import { createWriting, type Writing } from "../src/state/writing";
import type { ChosenToken, TokenEvent } from "../src/wire";
import { events, FakeClient, FakeClock, readyCatalog } from "./fakes";

let client: FakeClient;
let writing: Writing;

beforeEach(async () => {
  client = new FakeClient();
  writing = createWriting(client, await readyCatalog(client), new FakeClock());
  writing.type("Once");
});

function chosen(token: string, probability = 0.5): ChosenToken {
  const logprob = Math.log(probability);
  const top = [
    { token: " best", token_id: 1, logprob: Math.log(0.9) },
    { token, token_id: 2, logprob },
  ];
  return { token, token_id: 2, logprob, top };
}

function arrived(text: string, ...tokens: readonly string[]): TokenEvent {
  return { event: "token", index: 0, text, token_ids: tokens.map(() => 2), logprobs: tokens.map((t) => chosen(t)) };
}

async function generate(...tokens: readonly TokenEvent[]): Promise<void> {
  writing.generate();
  const text = tokens.map((token) => token.text).join("");
  await client.send(events.start(), ...tokens, events.finish(text), events.done(text));
  await client.end();
}

function shown(): string[] {
  const spans = spansOf(writing.tree.value, writing.shownReport.value);
  return spans.map(({ start, end }) => writing.tree.value.text.slice(start, end));
}

describe("where tokens stand", () => {
  test("each token of a generation has its place, also when several arrive at once", async () => {
    await generate(arrived(" upon", " upon"), arrived(" a time", " a", " time"));

    expect(shown()).toEqual([" upon", " a", " time"]);
  });

  test("the bytes of one character share its place", async () => {
    await generate(arrived("", "\ufffd"), arrived("é", "\ufffd"), arrived("!", "!"));

    expect(shown()).toEqual(["é", "!"]);
  });

  test("a line ending that the page changes keeps its place", async () => {
    await generate(arrived("\r\n", "\r\n"), arrived("So", "So"));

    expect(shown()).toEqual(["\n", "So"]);
  });

  test("writing on keeps the places of what was written before", async () => {
    await generate(arrived(" upon", " upon"));
    await generate(arrived(" a", " a"));

    expect(shown()).toEqual([" upon", " a"]);
  });

  test("typing before a token moves it, typing inside forgets it, undo brings it back", async () => {
    await generate(arrived(" upon", " upon"), arrived(" a", " a"));

    writing.type("At once upon a");
    expect(shown()).toEqual([" upon", " a"]);
    writing.type("At once upXon a");
    expect(shown()).toEqual([" a"]);
    writing.undo();
    writing.undo();
    expect(shown()).toEqual([" upon", " a"]);
  });

  test("the caret after a token's last character is at that token", async () => {
    await generate(arrived(" upon", " upon"), arrived(" a", " a"));
    const spans = spansOf(writing.tree.value, writing.shownReport.value);

    expect(spanAt(spans, "Once".length)).toBeNull();
    expect(spanAt(spans, "Once upon".length)).toBe(0);
    expect(spanAt(spans, "Once upon ".length)).toBe(1);
  });
});

describe("writing another token instead", () => {
  test("the text goes on from there, and undo brings the old text back", async () => {
    await generate(arrived(" upon", " upon"), arrived(" the cat", " the", " cat"));

    writing.branch("Once".length, " saw the cat");
    await client.send(events.start(), arrived(" sit", " sit"));

    expect(client.asked.at(-1)).toMatchObject({ prompt: "Once saw the cat" });
    expect(writing.tree.value.text).toBe("Once saw the cat sit");
    expect(shown()).toEqual([" sit"]);
    writing.undo();
    expect(writing.tree.value.text).toBe("Once upon the cat");
    expect(shown()).toEqual([" upon", " the", " cat"]);
    writing.redo();
    expect(writing.tree.value.text).toBe("Once saw the cat sit");
  });
});

describe("what a choice says", () => {
  test("surprise is counted in bits, over all tokens that share a place", () => {
    expect(surpriseOf({ text: "x", tokens: [chosen("x", 0.25)] })).toBeCloseTo(2);
    expect(surpriseOf({ text: "é", tokens: [chosen("a", 0.5), chosen("b", 0.25)] })).toBeCloseTo(3);
  });

  test("the rank counts from one, and is unknown below the reported tokens", () => {
    expect(rankOf(chosen("x"))).toBe(2);
    expect(rankOf({ ...chosen("x"), token_id: 99 })).toBeNull();
  });
});
