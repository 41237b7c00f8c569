/** The shape of what could be written next with these settings, before anything is. */

import type { JSX } from "preact";
import { useApp } from "../../app";
import { percent, visible } from "../tokens";

const NUM_BARS = 16;

export function NextTokens(): JSX.Element | null {
  const { lens } = useApp();
  const last = lens.ahead.value?.stages.at(-1);
  if (last === undefined || last.top.length === 0) return <div class="next-tokens" data-known={false} />;
  const bars = last.top.slice(0, NUM_BARS).map(({ token, token_id: id, logprob }) => ({
    id,
    token: visible(token),
    chance: Math.exp(logprob),
  }));
  const most = bars[0]?.chance ?? 1;
  const words = bars.slice(0, 3).map(({ token, chance }) => `${token} ${percent(chance)}`);
  return (
    <figure class="next-tokens" data-known={true} aria-label={`Likely next: ${words.join(", ")}`}>
      <div class="next-bars" aria-hidden="true">
        {bars.map(({ id, token, chance }) => (
          <span key={id} class="next-bar" title={`${token}  ${percent(chance)}`}>
            <i style={{ height: `${Math.max(2, (100 * chance) / most)}%` }} />
          </span>
        ))}
      </div>
      <figcaption>
        <span>
          Next: <code>{bars[0]?.token}</code> {percent(most)}
        </span>
        <span>{count(last.num_kept)} in play</span>
      </figcaption>
    </figure>
  );
}

function count(tokens: number): string {
  return tokens === 1 ? "1 token" : `${tokens.toLocaleString("en")} tokens`;
}
