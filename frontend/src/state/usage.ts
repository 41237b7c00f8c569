/** What the signed-in user used, day by day, and what is left of their limits. */

import { type ReadonlySignal, signal } from "@preact/signals";
import type { UsageApi } from "../api/usage";
import type { LimitLeft, UsageReport } from "../wire";

export interface Day {
  /** As 2026-01-31, in UTC. */
  readonly day: string;
  readonly requests: number;
  readonly tokens: number;
}

export interface UsageState {
  /** Every day of the span, those without use too; empty before it was loaded. */
  readonly days: ReadonlySignal<readonly Day[]>;
  readonly limits: ReadonlySignal<readonly LimitLeft[]>;
  load(): Promise<void>;
}

const DAY_MS = 86_400_000;

export function createUsage(api: UsageApi): UsageState {
  const days = signal<readonly Day[]>([]);
  const limits = signal<readonly LimitLeft[]>([]);
  return {
    days,
    limits,
    async load() {
      const [report, left] = await Promise.all([api.usage(), api.limits()]);
      days.value = daysOf(report);
      limits.value = left;
    },
  };
}

export function daysOf({ first_day, last_day, usage }: UsageReport): readonly Day[] {
  const used = new Map(usage.map((entry) => [entry.day, entry]));
  const days: Day[] = [];
  for (let time = Date.parse(first_day); time <= Date.parse(last_day); time += DAY_MS) {
    const day = new Date(time).toISOString().slice(0, 10);
    const entry = used.get(day);
    days.push({
      day,
      requests: entry?.requests ?? 0,
      tokens: (entry?.prompt_tokens ?? 0) + (entry?.completion_tokens ?? 0),
    });
  }
  return days;
}

/** A limit in a few words: “tokens a day”. */
export function limitName(limit: string): string {
  if (limit === "max_streams") return "requests at once";
  const [unit, , span] = limit.split("_");
  return `${unit} a ${span}`;
}

/** When what was used is given back, by the clock of the place: “until 02:00”. */
export function untilWhen(resetsAt: string | null): string {
  if (resetsAt === null) return "";
  const time = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
  return `until ${time.format(new Date(resetsAt))}`;
}
