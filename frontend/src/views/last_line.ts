/** What gives the last line of drawn text its height where it is empty, as a textarea's has. */

/**
 * Only after a line's end: anywhere else it would be a place to break at, where the textarea has none.
 */
export function lastLineHolder(text: string): string {
  return text.endsWith("\n") ? "\u200b" : "";
}
