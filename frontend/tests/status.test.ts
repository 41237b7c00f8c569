import { expect, test } from "vitest";
import { apiBase } from "../src/api/base";
import { type Failure, roomFor } from "../src/api/failure";
import { differingWords } from "../src/compare/words";
import { wordEndAfter, wordEndBefore, wordEndNear } from "../src/document/words";
import { advance, begin, fail, type Phase, type Report } from "../src/generation/report";
import { remedied, remedyLabel } from "../src/state/remedy";
import { statusOf } from "../src/state/status";
import { DEFAULT_SETTINGS } from "../src/storage/draft";
import { FakeClient, readyCatalog } from "./fakes";

function report(phase: Phase, over: Partial<Report> = {}): Report {
  return { ...begin(0), phase, ...over };
}

function refusal(over: Partial<Failure>): Report {
  return fail(begin(0), { kind: "refused", message: "No.", param: null, code: null, ...over });
}

const TOO_LONG =
  "5 prompt tokens and max_new_tokens=5000 do not fit the context of penstock-tiny, 512 tokens. " +
  "Set max_new_tokens to 507 or less.";

const LOOP = { start: 36, period: 4, advice: "", settings: { dry_multiplier: 0.8 } };

test.each([
  [report("finished", { finishReason: "length", tokens: 3 }), { kind: "go-on" }],
  [report("finished", { finishReason: "stop", tokens: 3 }), null],
  [report("finished", { finishReason: "length", tokens: 3, loop: LOOP }), { kind: "adjust", settings: LOOP.settings }],
  [report("stopped"), { kind: "go-on" }],
  [report("interrupted"), { kind: "go-on" }],
  [refusal({ code: "context_length_exceeded", message: TOO_LONG }), { kind: "shorten", to: 507 }],
  [refusal({ param: "temperature" }), { kind: "reset", param: "temperature" }],
  [refusal({ code: "rate_limit_exceeded" }), { kind: "limits" }],
  [refusal({ code: "request_over_limit" }), { kind: "limits" }],
  [refusal({ param: "model" }), { kind: "default-model" }],
  [refusal({ param: "unheard_of" }), { kind: "try-again" }],
  [refusal({ kind: "offline" }), { kind: "try-again" }],
  [refusal({ kind: "broken" }), { kind: "go-on" }],
])("each end offers what helps: %#", (given, remedy) => {
  expect(statusOf(given, null, ["temperature"]).remedy).toEqual(remedy);
});

test("a loop is told by its place, and what helps is put into the settings", async () => {
  const status = statusOf(report("finished", { finishReason: "length", loop: LOOP }), null, []);
  const before = { ...DEFAULT_SETTINGS, strategy: "greedy", chosen: { max_new_tokens: 20 } };
  const after = { ...before, chosen: { max_new_tokens: 20, dry_multiplier: 0.8 } };

  expect(status.text).toBe("Goes round in circles from token 37 on.");
  expect(remedied(before, { kind: "adjust", settings: LOOP.settings })).toEqual(after);
  const other = { kind: "adjust", settings: { strategy: "sampling", dry_multiplier: 0.8 } } as const;
  expect(remedied(before, other)).toEqual({ ...after, strategy: "sampling" });
  const catalog = await readyCatalog(new FakeClient());
  const drawing = { ...before, strategy: "sampling" };
  expect(remedyLabel(other, before, catalog)).toBe("Try sampling");
  expect(remedyLabel({ kind: "adjust", settings: { temperature: 1 } }, drawing, catalog)).toBe("Try Temperature 1");
});

test("a text that lacks forced words says so, whatever ended it", () => {
  const { text, remedy } = statusOf(report("finished", { finishReason: "length", missingWords: 2 }), null, []);

  expect(text).toBe("2 forced words did not fit. Allow more length, or fewer words.");
  expect(remedy).toBeNull();
});

test.each([
  [report("waiting"), "Waiting for the server…"],
  [report("waiting", { place: 1 }), "You are next…"],
  [report("waiting", { place: 3, placeSeconds: 0.2 }), "Place 3 in the queue, about 1 second…"],
  [report("waiting", { place: 12, placeSeconds: 40.4 }), "Place 12 in the queue, about 40 seconds…"],
  [report("finished", { finishReason: "time", tokens: 3 }), "Its time was up."],
])("who waits is told its place, and who had no more time so: %#", (given, text) => {
  expect(statusOf(given, null, []).text).toBe(text);
});

test("a place in the queue comes with an event and changes with the next", () => {
  const told = (report: Report, position: number) =>
    advance(report, { event: "waiting", position, estimated_seconds: null }, 0);

  expect(told(told(begin(0), 2), 1)).toEqual({ ...begin(0), place: 1, placeSeconds: null });
});

test("a prompt that leaves no room has no length that would help", () => {
  const message = "600 prompt tokens do not fit. Shorten the prompt by at least 89 tokens.";

  expect(roomFor({ kind: "refused", message, param: "prompt", code: "context_length_exceeded" })).toBeNull();
});

test("a refusal of another kind offers no length, whatever its words", () => {
  expect(roomFor({ kind: "refused", message: TOO_LONG, param: null, code: "invalid_parameter" })).toBeNull();
});

test.each([
  ["http://host", "", null, "http://host"],
  ["http://host", "?api=http://other/", null, "http://other"],
  ["http://host", "", "https://meta", "https://meta"],
  ["http://host", "?api=http://other", "https://meta", "http://other"],
])("the API of a page at %s%s with meta %s is at %s", (origin, search, meta, expected) => {
  expect(apiBase({ protocol: "http:", origin, search }, meta)).toBe(expected);
});

test("a page opened from a file asks this machine", () => {
  expect(apiBase({ protocol: "file:", origin: "null", search: "" }, "")).toBe("http://127.0.0.1:8000");
});

test.each([
  ["one two three four", "one two three four", 4, []],
  ["one two three five", "one two three four", 3, [" five"]],
  ["a b c x y z d e f", "a b c d e f", 6, [" x y z"]],
  ["quite another text", "one two three four", 0, []],
  ["the x the y", "q the r the", 0, []],
])("of %j the words that differ from %j are found", (text, reference, numShared, differing) => {
  const found = differingWords(text, reference);

  expect(found.stretches.map((stretch) => stretch.text).join("")).toBe(text);
  expect(found.numShared).toBe(numShared);
  expect(found.stretches.filter(({ differs }) => differs).map((stretch) => stretch.text)).toEqual(differing);
});

test.each([
  [0, 0, 3],
  [2, 3, 3],
  [3, 3, 7],
  [5, 7, 7],
  [11, 11, 11],
])("from place %i the nearest word end is %i, the next %i", (offset, near, after) => {
  const text = "one two\nthe";

  expect(wordEndNear(text, offset)).toBe(near);
  expect(wordEndAfter(text, offset)).toBe(after);
});

test("word ends backwards", () => {
  expect([11, 9, 7, 3].map((offset) => wordEndBefore("one two\nthe", offset))).toEqual([7, 7, 3, 0]);
});
