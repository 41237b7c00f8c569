/** Which tokens a generation chose, and over which others. Knows nothing of where their text stands. */

import type { ChosenToken, StreamEvent } from "../wire";

/** One token, or some whose text arrived together, such as the bytes of one character. */
export interface Choice {
  readonly text: string;
  readonly tokens: readonly ChosenToken[];
}

/** How many alternatives the page asks for beside each token. */
export const NUM_ALTERNATIVES = 8;

export function withChoices(choices: readonly Choice[], event: StreamEvent): readonly Choice[] {
  if (event.event !== "token" || event.index !== 0 || event.logprobs === undefined) return choices;
  const { text, logprobs } = event;
  const last = choices.at(-1);
  // What held back its text belongs to the text that came with the next token.
  if (last?.text === "") return [...choices.slice(0, -1), { text, tokens: [...last.tokens, ...logprobs] }];
  const isPlain = logprobs.map(({ token }) => token).join("") === text;
  if (!isPlain) return [...choices, { text, tokens: logprobs }];
  return [...choices, ...logprobs.map((chosen) => ({ text: chosen.token, tokens: [chosen] }))];
}

/** How unexpected a choice was, in bits: 0 is certain, 1 a coin's toss. */
export function surpriseOf({ tokens }: Choice): number {
  return -tokens.reduce((sum, { logprob }) => sum + logprob, 0) / Math.LN2;
}

/** The place of a token among all the model could have chosen; `null` when below those that were reported. */
export function rankOf({ token_id: id, top }: ChosenToken): number | null {
  const place = top.findIndex((token) => token.token_id === id);
  return place === -1 ? null : place + 1;
}

/** A token that is only part of a character cannot stand alone. */
export function isWholeText(token: string): boolean {
  return token !== "" && !token.includes("\ufffd");
}
