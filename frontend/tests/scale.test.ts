import { expect, test } from "vitest";
import { fromPosition, nudge, offeredRange, POSITIONS, toPosition, within } from "../src/parameters/scale";
import type { Parameter } from "../src/wire";

function parameter(over: Partial<Parameter>): Parameter {
  return { name: "p", label: "P", type: "float", default: 1, group: "main", description: "", ...over };
}

const TEMPERATURE = parameter({ minimum: 0, maximum: 2, offered_minimum: 0.1, offered_maximum: 2, step: 0.05 });
const TOP_K = parameter({ type: "int", offered_minimum: 1, offered_maximum: 100, step: 1, scale: "log" });
const FROM_ZERO = parameter({ type: "int", offered_minimum: 0, offered_maximum: 100, step: 1, scale: "log" });
const PENALTY = parameter({ offered_minimum: 0.8, offered_maximum: 2, step: 0.05, scale: "log", maximum: 10, minimum: 0.01 });
const ALL = { TEMPERATURE, TOP_K, FROM_ZERO, PENALTY };

test.each(Object.entries(ALL))("the ends of the slider are the ends of the range: %s", (_, each) => {
  const range = offeredRange(each)!;

  expect(fromPosition(0, each, range)).toBe(range.low);
  expect(fromPosition(POSITIONS, each, range)).toBe(range.high);
  expect(toPosition(range.low, each, range)).toBe(0);
  expect(toPosition(range.high, each, range)).toBe(POSITIONS);
});

test.each(Object.entries(ALL))("further to the right is never less, and inside the range: %s", (_, each) => {
  const range = offeredRange(each)!;
  let before = range.low;
  for (let position = 0; position <= POSITIONS; position += 1) {
    const value = fromPosition(position, each, range);

    expect(value).toBeGreaterThanOrEqual(before);
    expect(value).toBeLessThanOrEqual(range.high);
    before = value;
  }
});

test.each([0.1, 0.15, 0.8, 0.95, 1, 1.35, 2])("a value with a place on the slider is shown there: %d", (value) => {
  const range = offeredRange(TEMPERATURE)!;

  expect(fromPosition(toPosition(value, TEMPERATURE, range), TEMPERATURE, range)).toBe(value);
});

test("on a logarithmic slider equal distances are equal ratios", () => {
  const range = offeredRange(TOP_K)!;

  expect(fromPosition(POSITIONS / 2, TOP_K, range)).toBe(10);
});

test.each(Object.entries(ALL))("an arrow key always moves, until the end: %s", (_, each) => {
  const range = offeredRange(each)!;
  let value = range.low;
  for (let steps = 0; value < range.high; steps += 1) {
    const next = nudge(value, 1, each, range);

    expect(next).toBeGreaterThan(value);
    expect(steps).toBeLessThan(200);
    value = next;
  }
  expect(nudge(range.high, 1, each, range)).toBe(range.high);
  expect(nudge(range.low, -1, each, range)).toBe(range.low);
});

test.each([
  [3, TEMPERATURE, 2],
  [-1, TEMPERATURE, 0],
  [0.05, TEMPERATURE, 0.05],
  [12.6, parameter({ type: "int", minimum: 1 }), 13],
  [1e9, parameter({}), 1e9],
])("a typed %d is brought inside what the server accepts", (typed, each, expected) => {
  expect(within(typed, each)).toBe(expected);
});

test("a parameter without ends has no slider", () => {
  expect(offeredRange(parameter({ minimum: 0, maximum: null }))).toBeNull();
});
