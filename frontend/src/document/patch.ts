/** The smallest replacement that turns one text into another. Knows nothing of trees or editors. */

export interface Patch {
  readonly start: number;
  readonly removed: string;
  readonly inserted: string;
}

export const NO_CHANGE: Patch = { start: 0, removed: "", inserted: "" };

export function difference(before: string, after: string): Patch {
  const start = commonPrefix(before, after);
  const tail = commonSuffix(before, after, start);
  return {
    start,
    removed: before.slice(start, before.length - tail),
    inserted: after.slice(start, after.length - tail),
  };
}

/** The replacement of everything from the first difference on, so that what follows can grow at the end. */
export function newEnding(before: string, after: string): Patch {
  const start = commonPrefix(before, after);
  return { start, removed: before.slice(start), inserted: after.slice(start) };
}

/** Text fields know one line ending only; the page follows them, so that what is shown is what is sent. */
export function oneLineEnding(text: string): string {
  return text.replace(/\r\n?/g, "\n");
}

export function apply(text: string, patch: Patch): string {
  return text.slice(0, patch.start) + patch.inserted + text.slice(patch.start + patch.removed.length);
}

export function invert(patch: Patch): Patch {
  return { start: patch.start, removed: patch.inserted, inserted: patch.removed };
}

function commonPrefix(a: string, b: string): number {
  const most = Math.min(a.length, b.length);
  let length = 0;
  while (length < most && a.charCodeAt(length) === b.charCodeAt(length)) length += 1;
  return length > 0 && isHighSurrogate(a.charCodeAt(length - 1)) ? length - 1 : length;
}

function commonSuffix(a: string, b: string, prefix: number): number {
  const most = Math.min(a.length, b.length) - prefix;
  let length = 0;
  while (length < most && a.charCodeAt(a.length - 1 - length) === b.charCodeAt(b.length - 1 - length)) length += 1;
  return length > 0 && isLowSurrogate(a.charCodeAt(a.length - length)) ? length - 1 : length;
}

function isHighSurrogate(code: number): boolean {
  return code >= 0xd800 && code <= 0xdbff;
}

function isLowSurrogate(code: number): boolean {
  return code >= 0xdc00 && code <= 0xdfff;
}
