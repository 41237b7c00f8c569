/** What is known about one generation while it runs and after. Knows nothing of where its text goes. */

import type { Failure } from "../api/failure";
import type { FinishReason, Loop, StreamEvent, TextMetrics, Timings, TokenEvent } from "../wire";
import { type Choice, withChoices } from "./choices";

export type Phase =
  | "idle"
  | "waiting" // asked, no answer yet
  | "reading" // the server reads the prompt
  | "writing"
  | "finished"
  | "stopped" // by the user
  | "interrupted" // by leaving the page
  | "failed";

export interface Report {
  readonly phase: Phase;
  readonly startedAt: number;
  readonly firstTokenAt: number | null;
  readonly ratedAt: number;
  readonly tokens: number;
  readonly tokensPerSecond: number | null;
  readonly promptTokens: number | null;
  /** Among those who wait, as the server last told it; 1 is the next. */
  readonly place: number | null;
  readonly placeSeconds: number | null;
  readonly finishReason: FinishReason | null;
  /** How many of the forced words the text lacks. */
  readonly missingWords?: number;
  readonly seed: number | null;
  readonly timings: Timings | null;
  readonly unused: readonly string[];
  readonly failure: Failure | null;
  readonly choices: readonly Choice[];
  /** Absent in drafts that were kept before there was such a thing. */
  readonly loop?: Loop | null;
  readonly metrics?: TextMetrics | null;
}

export const IDLE: Report = {
  phase: "idle",
  startedAt: 0,
  firstTokenAt: null,
  ratedAt: 0,
  tokens: 0,
  tokensPerSecond: null,
  promptTokens: null,
  place: null,
  placeSeconds: null,
  finishReason: null,
  seed: null,
  timings: null,
  unused: [],
  failure: null,
  choices: [],
};

/** The rate is worked out this often, so that its figure can be read while it changes. */
const RATING_PAUSE_MS = 300;

export function begin(now: number): Report {
  return { ...IDLE, phase: "waiting", startedAt: now };
}

export function isRunning(report: Report): boolean {
  return report.phase === "waiting" || report.phase === "reading" || report.phase === "writing";
}

/** Waited for the first token, as the person at this page felt it. */
export function firstTokenMs(report: Report): number | null {
  return report.firstTokenAt === null ? null : report.firstTokenAt - report.startedAt;
}

export function advance(report: Report, event: StreamEvent, now: number): Report {
  switch (event.event) {
    case "waiting":
      return { ...report, place: event.position, placeSeconds: event.estimated_seconds };
    case "start":
      return {
        ...report,
        phase: "reading",
        seed: event.seed,
        promptTokens: event.usage.prompt_tokens,
        unused: event.unused_parameters,
      };
    case "token":
      return rate(
        {
          ...report,
          phase: "writing",
          tokens: report.tokens + tokensOfFirst(event),
          choices: withChoices(report.choices, event),
        },
        now,
      );
    case "finish":
      if (report.finishReason !== null) return report;
      return { ...report, finishReason: event.finish_reason, missingWords: event.missing_words?.length ?? 0 };
    case "done":
      return {
        ...report,
        phase: "finished",
        seed: event.seed,
        tokens: event.sequences[0]?.tokens ?? report.tokens,
        tokensPerSecond: event.cached ? null : event.timings.tokens_per_second,
        timings: event.timings,
        loop: event.sequences[0]?.loop ?? null,
      };
    case "metrics":
      return { ...report, metrics: event.texts[0] ?? null };
    case "groups":
    case "tree":
      return report;
    case "error":
      return fail(report, { kind: "refused", ...event.error });
  }
}

export function stop(report: Report): Report {
  return isRunning(report) ? { ...report, phase: "stopped" } : report;
}

export function fail(report: Report, failure: Failure): Report {
  return { ...report, phase: "failed", failure };
}

/** The page was left: what ran then does not run now. */
export function interrupt(report: Report): Report {
  return isRunning(report) ? { ...report, phase: "interrupted" } : report;
}

/** The figures are those of the text on the screen, not of other versions written with it. */
function tokensOfFirst({ index, token_ids }: TokenEvent): number {
  return index === 0 ? token_ids.length : 0;
}

function rate(report: Report, now: number): Report {
  if (report.firstTokenAt === null) return { ...report, firstTokenAt: now, ratedAt: now };
  if (now - report.ratedAt < RATING_PAUSE_MS) return report;
  const seconds = (now - report.firstTokenAt) / 1000;
  return { ...report, ratedAt: now, tokensPerSecond: (report.tokens - 1) / seconds };
}
