/** How tokens and chances are written for people. */

/** Spaces and line ends as signs, so that tokens that differ look different. */
export function visible(token: string): string {
  return token.replaceAll(" ", "␣").replaceAll("\n", "⏎").replaceAll("\t", "⇥") || "(end of text)";
}

export function percent(chance: number): string {
  if (chance >= 0.9995) return "100 %";
  if (chance >= 0.1) return `${(100 * chance).toFixed(0)} %`;
  return chance >= 0.0005 ? `${(100 * chance).toFixed(1)} %` : "< 0.1 %";
}
