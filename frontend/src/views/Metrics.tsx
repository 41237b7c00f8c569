/** The figures of one generation, each with its unit and a hover that says what it is. */

import type { JSX } from "preact";
import { firstTokenMs, type Report } from "../generation/report";

export function Metrics({ report }: { readonly report: Report }): JSX.Element | null {
  if (firstTokenMs(report) === null) return null;
  const first = firstTokenMs(report);
  return (
    <dl class="metrics">
      <Metric figure={String(report.tokens)} unit="tok" hover="Tokens written: the pieces a model reads and writes." />
      {report.tokensPerSecond !== null && (
        <Metric
          figure={rateLabel(report.tokensPerSecond)}
          unit="tok/s"
          hover="Tokens per second while writing; one second of reading aloud is about four."
        />
      )}
      {first !== null && <Metric prefix="first" {...timeLabel(first)} hover={firstHover(report)} />}
    </dl>
  );
}

interface MetricProps {
  readonly prefix?: string;
  readonly figure: string;
  readonly unit: string;
  readonly hover: string;
}

function Metric({ prefix, figure, unit, hover }: MetricProps): JSX.Element {
  return (
    <div title={hover}>
      {prefix && <dt>{prefix}</dt>}
      <dd>
        <span class="number">{figure}</span> {unit}
      </dd>
    </div>
  );
}

export function rateLabel(rate: number): string {
  return rate < 10 ? rate.toFixed(1) : Math.round(rate).toString();
}

export function timeLabel(milliseconds: number): { figure: string; unit: string } {
  return milliseconds < 1000
    ? { figure: Math.round(milliseconds).toString(), unit: "ms" }
    : { figure: (milliseconds / 1000).toFixed(1), unit: "s" };
}

function firstHover({ timings }: Report): string {
  const felt = "Time from pressing the button to the first token on this page.";
  if (timings === null) return felt;
  const part = (name: string, ms: number): string => `${name} ${timeLabel(ms).figure} ${timeLabel(ms).unit}`;
  return `${felt} At the server: ${part("in the queue", timings.queue_ms)}, ${part("reading the prompt", timings.prompt_ms)}.`;
}
