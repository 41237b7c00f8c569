/** The draft as it was when its page was left, written in the instant of leaving. Knows nothing of IndexedDB, which is too slow for that. */

import type { Draft } from "./draft";

const PREFIX = "penstock.last-words.";

export function writeLastWords(storage: Storage, draft: Draft): void {
  try {
    storage.setItem(PREFIX + draft.id, JSON.stringify(draft));
  } catch (error) {
    // Too long for this storage: the save that IndexedDB was asked for a moment ago has to do.
    console.warn("The draft was too long to be kept in the instant of leaving.", error);
  }
}

export function readLastWords(storage: Storage, id: string): Draft | null {
  const words = storage.getItem(PREFIX + id);
  return words === null ? null : (JSON.parse(words) as Draft);
}

/** Words no newer than `savedAt` have been saved elsewhere by now. */
export function clearLastWords(storage: Storage, id: string, savedAt = Infinity): void {
  const words = readLastWords(storage, id);
  if (words !== null && words.updated <= savedAt) storage.removeItem(PREFIX + id);
}
