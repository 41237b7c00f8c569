/** Which adapters are offered for a model, and that the chosen one is asked for and no other. */

import { beforeEach, expect, test } from "vitest";
import { generateSnippets } from "../src/code/snippets";
import { type Catalog, createCatalog } from "../src/state/catalog";
import { createWriting, type Writing } from "../src/state/writing";
import type { GenerateRequest } from "../src/wire";
import { FakeClient, MODEL, settle } from "./fakes";

const ADAPTERS = [
  { name: "for-tiny", error: null, models: ["tiny"] },
  { name: "for-other", error: null, models: ["other"] },
  { name: "for-any", error: null, models: null },
  { name: "broken", error: "It cannot be read.", models: ["tiny"] },
];

let client: FakeClient;
let catalog: Catalog;
let writing: Writing;

beforeEach(async () => {
  client = new FakeClient();
  client.offered = { default: "tiny", models: [MODEL, { ...MODEL, id: "other" }] };
  client.adapted = ADAPTERS;
  catalog = createCatalog(client);
  writing = createWriting(client, catalog, { now: () => 0, date: () => 0, schedule: (run) => void queueMicrotask(run) });
  catalog.connect();
  await settle();
});

function offered(): string[] {
  return catalog.adaptersOf(writing.settings.value).map(({ name }) => name);
}

function choose(changes: object): void {
  writing.settings.value = { ...writing.settings.value, ...changes };
}

test("those are offered that suit the model and can be used", () => {
  expect(offered()).toEqual(["for-tiny", "for-any"]);
  choose({ model: "other" });
  expect(offered()).toEqual(["for-other", "for-any"]);
});

test("the chosen one is asked for, and none where none is chosen", () => {
  writing.type("Once");
  writing.generate();
  expect(client.asked.at(-1)).not.toHaveProperty("adapter");
  writing.stop();

  choose({ adapter: "for-tiny" });
  writing.again();

  expect(client.asked.at(-1)).toMatchObject({ model: "tiny", adapter: "for-tiny" });
});

test("a model that it does not suit is asked without it", () => {
  choose({ adapter: "for-tiny", model: "other" });

  expect(catalog.adapterOf(writing.settings.value)).toBeNull();
  expect(writing.requestOfSettings()).not.toHaveProperty("adapter");
  choose({ model: "tiny" });
  expect(writing.requestOfSettings()).toMatchObject({ adapter: "for-tiny" });
});

test("the list is looked at again with the models", async () => {
  client.adapted = [];
  await catalog.refreshModels();

  expect(offered()).toEqual([]);
});

test("the command line has an option for it", () => {
  choose({ adapter: "for-tiny" });
  const request = writing.requestOfSettings() as GenerateRequest;
  const cli = generateSnippets("http://x", request).find(({ language }) => language === "cli")?.code;

  expect(cli).toContain("--adapter for-tiny");
  expect(cli).not.toContain("--set adapter");
});
