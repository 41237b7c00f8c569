/** Usage day by day, and limits in words. */

import { expect, test } from "vitest";
import { daysOf, limitName } from "../src/state/usage";

test("every day of the span has its place, those without use too", () => {
  const entry = { day: "2026-03-01", requests: 2, prompt_tokens: 3, completion_tokens: 4 };

  const days = daysOf({ first_day: "2026-02-27", last_day: "2026-03-02", usage: [entry] });

  expect(days).toEqual([
    { day: "2026-02-27", requests: 0, tokens: 0 },
    { day: "2026-02-28", requests: 0, tokens: 0 },
    { day: "2026-03-01", requests: 2, tokens: 7 },
    { day: "2026-03-02", requests: 0, tokens: 0 },
  ]);
});

test.each([
  ["tokens_per_day", "tokens a day"],
  ["requests_per_minute", "requests a minute"],
  ["max_streams", "requests at once"],
])("%s is told as %s", (limit, words) => {
  expect(limitName(limit)).toBe(words);
});
