import { IDBFactory } from "fake-indexeddb";
import { beforeEach, expect, test } from "vitest";
import { type Comparing, createComparing } from "../src/state/comparing";
import { createDesk, type Desk } from "../src/state/desk";
import { createWriting, type Writing } from "../src/state/writing";
import { type DraftStore, openDraftStore } from "../src/storage/database";
import { events, FakeClient, FakeClock, FakeStorage, readyCatalog } from "./fakes";

/** What all tabs of a browser share. */
let indexedDB: IDBFactory;
let shared: FakeStorage;
let clock: FakeClock;

interface Page {
  readonly client: FakeClient;
  readonly writing: Writing;
  readonly comparing: Comparing;
  readonly desk: Desk;
}

beforeEach(() => {
  indexedDB = new IDBFactory();
  shared = new FakeStorage();
  clock = new FakeClock();
});

/** Loads the page in a tab; the same tab again is a reload. */
async function load(tab: FakeStorage, over: Partial<DraftStore> = {}): Promise<Page> {
  const client = new FakeClient();
  const catalog = await readyCatalog(client);
  const writing = createWriting(client, catalog, clock);
  const comparing = createComparing(client, catalog, clock);
  const store = { ...(await openDraftStore(indexedDB)), ...over };
  const desk = createDesk(writing, comparing, { store, tab, shared, date: () => (clock.milliseconds += 1000) });
  await desk.openLast();
  return { client, writing, comparing, desk };
}

function duplicate(tab: FakeStorage): FakeStorage {
  const copy = new FakeStorage();
  for (let index = 0; index < tab.length; index += 1) copy.setItem(tab.key(index)!, tab.getItem(tab.key(index)!)!);
  return copy;
}

test("a reload finds the text, the tree, the settings and the comparison", async () => {
  const tab = new FakeStorage();
  const before = await load(tab);
  before.writing.type("Once");
  before.writing.settings.value = { model: null, strategy: "greedy", chosen: { max_new_tokens: 7 } };
  before.comparing.prepare("Twice", before.writing.settings.value);
  await before.desk.save();

  const after = await load(tab);

  expect(after.writing.tree.value).toEqual(before.writing.tree.value);
  expect(after.writing.settings.value).toEqual(before.writing.settings.value);
  expect(after.comparing.comparison.value).toEqual(before.comparing.comparison.value);
});

test("text that arrives in the instant of leaving is not lost, although nothing had time to save it", async () => {
  const tab = new FakeStorage();
  const before = await load(tab, { save: () => new Promise(() => undefined) });
  before.writing.type("Once");
  before.writing.generate();
  await before.client.send(events.start(), events.token(" upon"));
  before.desk.leave();

  const after = await load(tab);

  expect(after.writing.tree.value.text).toBe("Once upon");
  expect(after.writing.shownReport.value.phase).toBe("interrupted");
});

test("what was saved is older than what was written in the instant of leaving", async () => {
  const tab = new FakeStorage();
  const real = await openDraftStore(indexedDB);
  let hasTime = true;
  const save: DraftStore["save"] = (draft) => (hasTime ? real.save(draft) : new Promise(() => undefined));
  const before = await load(tab, { save });
  before.writing.type("Once");
  await before.desk.save();
  hasTime = false;
  before.writing.type("Once upon");
  before.desk.leave();

  expect((await load(tab)).writing.tree.value.text).toBe("Once upon");
});

test("tokens that wait for their frame when the page is left are kept too", async () => {
  const tab = new FakeStorage();
  const before = await load(tab);
  before.writing.type("Once");
  clock.schedule = () => undefined;
  before.writing.generate();
  await before.client.send(events.start(), events.token(" upon"));
  expect(before.writing.tree.value.text).toBe("Once");
  before.desk.leave();

  expect((await load(tab)).writing.tree.value.text).toBe("Once upon");
});

test("a duplicated tab goes on under a name of its own, and both texts are kept", async () => {
  const tab = new FakeStorage();
  const first = await load(tab);
  first.writing.type("Once");
  await first.desk.save();
  const secondTab = duplicate(tab);
  const second = await load(secondTab);
  expect(second.desk.draftId.value).toBe(first.desk.draftId.value);

  first.writing.type("Once upon");
  await first.desk.save();
  second.writing.type("Once more");
  await second.desk.save();

  expect((await load(tab)).writing.tree.value.text).toBe("Once upon");
  expect((await load(secondTab)).writing.tree.value.text).toBe("Once more");
});

test("a new tab begins with an empty draft, and the old one is on the list", async () => {
  const first = await load(new FakeStorage());
  first.writing.type("Once upon a time\nthere was");
  await first.desk.save();

  const second = await load(new FakeStorage());
  await second.desk.refreshRecent();

  expect(second.writing.tree.value.text).toBe("");
  expect(second.desk.recent.value.map(({ title }) => title)).toEqual(["Once upon a time"]);
});

test("a new draft keeps the settings and saves the old draft first", async () => {
  const page = await load(new FakeStorage());
  page.writing.type("Once");
  page.writing.settings.value = { model: null, strategy: "greedy", chosen: {} };
  const old = page.desk.draftId.value;
  await page.desk.startNew();

  expect(page.writing.tree.value.text).toBe("");
  expect(page.writing.settings.value.strategy).toBe("greedy");
  await page.desk.open(old);
  expect(page.writing.tree.value.text).toBe("Once");
});

test("an empty draft is not kept", async () => {
  const page = await load(new FakeStorage());
  await page.desk.save();
  await page.desk.refreshRecent();

  expect(page.desk.recent.value).toEqual([]);
});

test("a forgotten draft is gone, also its last words", async () => {
  const tab = new FakeStorage();
  const page = await load(tab);
  page.writing.type("Once");
  page.desk.leave();
  await page.desk.save();
  await page.desk.forget(page.desk.draftId.value);

  expect((await load(tab)).writing.tree.value.text).toBe("");
  expect(shared.length).toBe(0);
});
