/** Figures of several generations on scales they share. Knows nothing of how bars are drawn. */

import { firstTokenMs, type Report } from "../generation/report";

export interface Bar {
  readonly name: string;
  readonly figure: string;
  /** Of the longest bar of this kind, 0 to 1; `null` when there is nothing to show yet. */
  readonly share: number | null;
  readonly hover: string;
}

interface Measure {
  readonly name: string;
  readonly hover: string;
  of(report: Report): number | null;
  label(value: number): string;
}

const MEASURES: readonly Measure[] = [
  {
    name: "speed",
    hover: "Tokens per second while writing. Longer is faster.",
    of: ({ tokensPerSecond }) => tokensPerSecond,
    label: (value) => `${value < 10 ? value.toFixed(1) : Math.round(value)} tok/s`,
  },
  {
    name: "first",
    hover: "Time until the first token. Shorter is faster.",
    of: firstTokenMs,
    label: (value) => (value < 1000 ? `${Math.round(value)} ms` : `${(value / 1000).toFixed(1)} s`),
  },
  {
    name: "length",
    hover: "Tokens written: the pieces a model reads and writes.",
    of: ({ phase, tokens }) => (phase === "idle" || phase === "waiting" ? null : tokens),
    label: (value) => `${value} tok`,
  },
  {
    name: "surprise",
    hover:
      "Perplexity: among how many equally likely tokens each choice was, on average, for the first column's model. " +
      "Longer is less expected.",
    of: ({ metrics }) => metrics?.perplexity ?? null,
    label: (value) => (value < 100 ? value.toFixed(1) : Math.round(value).toLocaleString("en")),
  },
  {
    name: "repeats",
    hover: "Which share of the runs of four words had occurred before in the text. Longer repeats itself more.",
    of: ({ metrics }) => metrics?.repetition ?? null,
    label: (value) => `${Math.round(100 * value)} %`,
  },
];

/** One list of bars per report, in order. */
export function barsOf(reports: readonly Report[]): Bar[][] {
  const longest = MEASURES.map(({ of }) => Math.max(0, ...reports.map((report) => of(report) ?? 0)));
  return reports.map((report) =>
    MEASURES.map(({ name, hover, of, label }, index) => {
      const value = of(report);
      const most = longest[index] ?? 0;
      return {
        name,
        hover,
        figure: value === null ? "–" : label(value),
        share: value === null || most === 0 ? null : value / most,
      };
    }),
  );
}
