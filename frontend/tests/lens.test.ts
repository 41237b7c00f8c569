import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { createLens, type Lens } from "../src/state/lens";
import { createWriting, type Writing } from "../src/state/writing";
import { events, FakeClient, FakeClock, readyCatalog } from "./fakes";

let client: FakeClient;
let writing: Writing;
let lens: Lens;

beforeEach(async () => {
  client = new FakeClient();
  const catalog = await readyCatalog(client);
  vi.useFakeTimers();
  writing = createWriting(client, catalog, new FakeClock());
  lens = createLens(client, catalog, writing);
});

afterEach(() => {
  vi.useRealTimers();
});

function prompts(): string[] {
  return client.lookedUp.map(({ prompt }) => prompt);
}

describe("what could be written next", () => {
  test("is asked for once the typing rests, with the settings on the screen", async () => {
    writing.type("On");
    await vi.advanceTimersByTimeAsync(200);
    writing.type("Once");
    await vi.advanceTimersByTimeAsync(1000);

    expect(prompts()).toEqual(["Once"]);
    expect(client.lookedUp[0]).toMatchObject({ model: "tiny", strategy: "sampling", temperature: 0.8 });
    expect(lens.ahead.value?.stages[0]?.top[0]?.token).toBe(" upon");
  });

  test("is asked again when a setting changes, and not for a text that was looked up before", async () => {
    writing.type("Once");
    await vi.advanceTimersByTimeAsync(1000);
    const { value: before } = writing.settings;
    writing.settings.value = { ...before, chosen: { temperature: 1.5 } };
    await vi.advanceTimersByTimeAsync(1000);
    writing.settings.value = before;
    await vi.advanceTimersByTimeAsync(1000);

    expect(client.lookedUp.map(({ temperature }) => temperature)).toEqual([0.8, 1.5]);
    expect(lens.ahead.value).not.toBeNull();
  });

  test("is not asked for while text is being written, and not for an empty page", async () => {
    await vi.advanceTimersByTimeAsync(1000);
    writing.type("Once");
    writing.generate();
    await client.send(events.start(), events.token(" upon"));
    await vi.advanceTimersByTimeAsync(1000);

    expect(client.lookedUp).toEqual([]);
    expect(lens.ahead.value).toBeNull();
  });

  test("is left open when the server cannot tell, and asked for again later", async () => {
    client.isDown = true;
    writing.type("Once");
    await vi.advanceTimersByTimeAsync(1000);
    expect(lens.ahead.value).toBeNull();

    client.isDown = false;
    writing.type("Once more");
    await vi.advanceTimersByTimeAsync(1000);
    expect(lens.ahead.value).not.toBeNull();
  });
});
