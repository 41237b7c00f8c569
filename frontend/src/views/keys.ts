/** How a shortcut is written for the person at this keyboard. */

import type { Keys } from "../commands";

const NAMES: Readonly<Record<string, string>> = { Enter: "⏎", Escape: "Esc" };

export function isApple(): boolean {
  return /Mac|iPhone|iPad/.test(navigator.platform);
}

export function keysLabel(keys: Keys, apple = isApple()): string {
  const key = NAMES[keys.key] ?? keys.key.replace(/^(Key|Digit)/, "").toUpperCase();
  const parts = [
    keys.mod && (apple ? "⌘" : "Ctrl"),
    keys.alt && (apple ? "⌥" : "Alt"),
    keys.shift && (apple ? "⇧" : "Shift"),
    key,
  ].filter(Boolean);
  return parts.join(apple ? "" : "+");
}
