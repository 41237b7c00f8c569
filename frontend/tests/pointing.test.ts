/** Which token is asked about, as a hand moves. */

import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { createPointing, REST_MS } from "../src/views/write/pointing";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test("a token is asked about once the mouse rests on it, however it trembles there", () => {
  const pointing = createPointing();
  pointing.pass(3);
  vi.advanceTimersByTime(REST_MS - 1);
  pointing.pass(3);
  expect(pointing.token.value).toBeNull();

  vi.advanceTimersByTime(1);
  expect(pointing.token.value).toBe(3);
});

test("tokens on the way to the card do not take the place of the one it is about", () => {
  const pointing = createPointing();
  pointing.choose(3);
  pointing.pass(4);
  vi.advanceTimersByTime(REST_MS - 1);
  pointing.pass(5);
  vi.advanceTimersByTime(REST_MS - 1);
  pointing.pass(null);
  vi.advanceTimersByTime(10 * REST_MS);

  expect(pointing.token.value).toBe(3);
});

test("what is chosen holds at once, and what was passed over before does not come after it", () => {
  const pointing = createPointing();
  pointing.pass(4);
  pointing.choose(3);
  vi.advanceTimersByTime(10 * REST_MS);
  expect(pointing.token.value).toBe(3);

  pointing.pass(4);
  pointing.choose(null);
  vi.advanceTimersByTime(10 * REST_MS);
  expect(pointing.token.value).toBeNull();
});

test("the same token can be asked about again after its card was closed", () => {
  const pointing = createPointing();
  pointing.choose(3);
  pointing.choose(null);
  pointing.pass(3);
  vi.advanceTimersByTime(REST_MS);

  expect(pointing.token.value).toBe(3);
});
