/** Text as a literal of another language. Knows nothing of requests. */

import type { Value } from "../wire";

const PLAIN_WORD = /^[A-Za-z0-9_@%+=:,.\/-]+$/;

/** One word of a POSIX shell. No shell can carry a NUL in an argument, so it is left out. */
export function shellWord(text: string): string {
  const clean = text.replaceAll("\0", "");
  return PLAIN_WORD.test(clean) ? clean : `'${clean.replaceAll("'", `'\\''`)}'`;
}

/** A Python literal; JSON strings are Python strings too. */
export function pythonLiteral(value: Value | undefined): string {
  if (value === null || value === undefined) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (typeof value === "number") return String(value);
  if (typeof value === "string") return pythonString(value);
  if (Array.isArray(value)) return `[${value.map(pythonLiteral).join(", ")}]`;
  const entries = Object.entries(value).map(([name, item]) => `${pythonString(name)}: ${pythonLiteral(item)}`);
  return `{${entries.join(", ")}}`;
}

/** JSON leaves DEL and the line separators bare; Python would take them, editors may not. */
function pythonString(text: string): string {
  return JSON.stringify(text).replace(
    /[\u007f-\u009f\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
