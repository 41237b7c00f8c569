/** Where a model's text goes beside its prompt. */

/** Encoder-decoders answer in a text of their own; it begins a paragraph. */
const ANSWERING: ReadonlySet<string> = new Set(["t5", "mt5"]);
export const PARAGRAPH = "\n\n";

export function joined(prompt: string, text: string, family: string): string {
  return prompt + (ANSWERING.has(family) ? PARAGRAPH : "") + text;
}
