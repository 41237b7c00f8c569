/** What was used in the last thirty days, as bars, and what is left of each limit. */

import type { JSX } from "preact";
import { useEffect } from "preact/hooks";
import { useApp } from "../../app";
import { count } from "../../state/status";
import { type Day, limitName, untilWhen } from "../../state/usage";
import type { LimitLeft } from "../../wire";

const HEIGHT = 48;
const STEP = 10;
const BAR = 7;

export function Usage(): JSX.Element {
  const { usage } = useApp();
  useEffect(() => void usage.load().catch(() => undefined), []);
  const days = usage.days.value;
  return (
    <section class="usage" aria-label="Usage">
      <h3>Usage</h3>
      {days.length > 0 && <Chart days={days} />}
      {usage.limits.value.length > 0 && (
        <ul>
          {usage.limits.value.map((left) => (
            <Limit key={`${left.whose} ${left.limit}`} left={left} />
          ))}
        </ul>
      )}
    </section>
  );
}

function Chart({ days }: { readonly days: readonly Day[] }): JSX.Element {
  const tokens = days.reduce((sum, { tokens }) => sum + tokens, 0);
  const requests = days.reduce((sum, { requests }) => sum + requests, 0);
  const most = Math.max(1, ...days.map((day) => day.tokens));
  const today = days.at(-1);
  return (
    <figure>
      <svg viewBox={`0 0 ${days.length * STEP} ${HEIGHT}`} preserveAspectRatio="none" role="img">
        <title>{`Tokens a day, ${days[0]?.day} to ${today?.day}`}</title>
        {days.map((day, place) => (
          <Bar key={day.day} day={day} place={place} height={heightOf(day, most)} />
        ))}
      </svg>
      <figcaption>
        <span>{`${count(tokens, "token")} in ${count(requests, "request")}, 30 days`}</span>
        <span class="quiet">{`today ${(today?.tokens ?? 0).toLocaleString("en")}`}</span>
      </figcaption>
    </figure>
  );
}

interface BarProps {
  readonly day: Day;
  readonly place: number;
  readonly height: number;
}

function Bar({ day, place, height }: BarProps): JSX.Element {
  return (
    <g>
      <title>{`${day.day}: ${count(day.tokens, "token")} in ${count(day.requests, "request")}`}</title>
      <rect class="usage-room" x={place * STEP} y={0} width={BAR} height={HEIGHT} />
      <rect class="usage-bar" x={place * STEP} y={HEIGHT - height} width={BAR} height={height} />
    </g>
  );
}

/** A day with any use can be seen. */
function heightOf({ tokens }: Day, most: number): number {
  return tokens === 0 ? 0 : Math.max(2, Math.round((HEIGHT * tokens) / most));
}

function Limit({ left }: { readonly left: LimitLeft }): JSX.Element {
  const isOver = left.left === 0;
  return (
    <li data-over={isOver} title={left.words}>
      <span>{limitName(left.limit)}</span>
      <meter min={0} max={Math.max(1, left.most)} value={left.left} aria-label={`${limitName(left.limit)} left`} />
      <span class="usage-left">
        {`${left.left.toLocaleString("en")} of ${left.most.toLocaleString("en")} left`}
        <span class="quiet"> {untilWhen(left.resets_at)}</span>
      </span>
    </li>
  );
}
