import { beforeEach, expect, test } from "vitest";
import { offline } from "../src/api/failure";
import { barsOf } from "../src/compare/bars";
import { type Comparing, createComparing, MAX_COLUMNS, MIN_COLUMNS } from "../src/state/comparing";
import { DEFAULT_SETTINGS } from "../src/storage/draft";
import { events, FakeClient, FakeClock, readyCatalog, settle } from "./fakes";

let client: FakeClient;
let comparing: Comparing;

beforeEach(async () => {
  client = new FakeClient();
  comparing = createComparing(client, await readyCatalog(client), new FakeClock());
  comparing.prepare("Once", DEFAULT_SETTINGS);
});

function texts(): string[] {
  return comparing.comparison.value.columns.map(({ text }) => text);
}

function phases(): string[] {
  return comparing.comparison.value.columns.map(({ report }) => report.phase);
}

test("one column per strategy, asked for in one request", async () => {
  comparing.run();
  await settle();

  expect(client.asked).toEqual([
    {
      prompt: "Once",
      columns: [
        { model: "tiny", strategy: "greedy", max_new_tokens: 100 },
        { model: "tiny", strategy: "sampling", temperature: 0.8, max_new_tokens: 100 },
      ],
      metrics: true,
      stream: true,
    },
  ]);
});

test("figures come after the texts, each to its own column", async () => {
  comparing.run();
  const figures = { perplexity: 12.34, repetition: 0.25 };
  await client.send(
    events.done(" a", { column: 0 }),
    events.done(" b", { column: 1 }),
    { event: "metrics", column: 1, texts: [figures] },
    { event: "groups" },
  );

  const reports = comparing.comparison.value.columns.map(({ report }) => report);
  expect(reports.map(({ metrics }) => metrics ?? null)).toEqual([null, figures]);
  const bars = barsOf(reports).map((shown) => shown.slice(-2).map(({ figure }) => figure));
  expect(bars).toEqual([
    ["–", "–"],
    ["12.3", "25 %"],
  ]);
});

test("each event goes to its own column", async () => {
  comparing.run();
  await client.send(events.token(" a", { column: 0 }), events.token(" b", { column: 1 }), events.token("c", { column: 0 }));

  expect(texts()).toEqual([" ac", " b"]);
});

test("one column's error leaves the others writing", async () => {
  comparing.run();
  const error = { message: "No.", type: "t", param: null, code: null };
  await client.send({ event: "error", column: 0, error }, events.token(" b", { column: 1 }));

  expect(phases()).toEqual(["failed", "writing"]);
});

test("stop keeps what has arrived in all columns", async () => {
  comparing.run();
  await client.send(events.token(" a", { column: 0 }));
  comparing.stop();

  expect(client.isCancelled).toBe(true);
  expect(texts()).toEqual([" a", ""]);
  expect(phases()).toEqual(["stopped", "stopped"]);
});

test("columns that come and go before and while the others write take nobody else's text", async () => {
  comparing.add();
  comparing.add();
  comparing.remove(comparing.comparison.value.columns[0]!.id);
  comparing.run();
  await client.send(events.token(" a", { column: 0 }));
  comparing.remove(comparing.comparison.value.columns[0]!.id);
  await client.send(events.token(" b", { column: 1 }), events.token(" c", { column: 2 }));

  expect(texts()).toEqual([" b", " c"]);
});

test("no answer is every column's failure", async () => {
  comparing.run();
  await client.fail(offline("http://test"));

  expect(phases()).toEqual(["failed", "failed"]);
});

test("there are never fewer or more columns than make sense", () => {
  for (let times = 0; times < 10; times += 1) comparing.add();
  expect(comparing.comparison.value.columns).toHaveLength(MAX_COLUMNS);

  for (const { id } of comparing.comparison.value.columns) comparing.remove(id);
  expect(comparing.comparison.value.columns).toHaveLength(MIN_COLUMNS);
});

test("a duplicate stands beside its original with the same settings", () => {
  const [first] = comparing.comparison.value.columns;
  comparing.configure(first!.id, { ...first!.settings, chosen: { max_new_tokens: 7 } });
  comparing.duplicate(first!.id);

  const [original, copy] = comparing.comparison.value.columns;
  expect(copy?.settings).toEqual(original?.settings);
  expect(copy?.id).not.toBe(original?.id);
});

test("the code for the texts has the settings that made them, and their seeds", async () => {
  comparing.run();
  await client.send(events.start({ column: 0, seed: 11 } as never), events.start({ column: 1, seed: 12 } as never));
  const [first] = comparing.comparison.value.columns;
  comparing.configure(first!.id, { ...first!.settings, chosen: { max_new_tokens: 7 } });

  expect(comparing.columnsOfTexts()).toMatchObject([
    { max_new_tokens: 100, seed: 11 },
    { max_new_tokens: 100, seed: 12 },
  ]);
  expect(comparing.columnsOfSettings()[0]).toMatchObject({ max_new_tokens: 7 });
});

test("what helps all refused columns is offered once, and done to them alone", async () => {
  comparing.run();
  const message = "Too long. Set max_new_tokens to 50 or less.";
  const error = { message, type: "t", param: "max_new_tokens", code: "context_length_exceeded" };
  await client.send({ event: "error", column: 1, error }, events.done(" a", { column: 0 }));
  await client.end();

  expect(comparing.remedy.value).toEqual({ kind: "shorten", to: 50 });
  comparing.mend({ kind: "shorten", to: 50 });
  expect(comparing.columnsOfSettings().map(({ max_new_tokens }) => max_new_tokens)).toEqual([100, 50]);
});
