/** Mouse, finger and keyboard on the editor, as questions about tokens. Knows nothing of what is shown of them. */

import type { RefObject } from "preact";
import type { Pointing } from "./pointing";

/** These keys ask about the token that the caret moves into; typing does not. */
const CARET_KEYS = new Set(["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Home", "End", "PageUp", "PageDown"]);

/**
 * The mouse asks where it rests or clicks, a finger where it taps, the keyboard where it moves the caret. A click moves
 * the caret too, but between two letters, of which the one before may belong to another token: the pointer counts.
 */
export function followHand(
  editor: HTMLTextAreaElement,
  layer: RefObject<HTMLElement | null>,
  pointing: Pointing,
  tokenAt: (offset: number) => number | null,
): () => void {
  const listening = new AbortController();
  let isCaretMoving = false;

  function listen<Name extends keyof HTMLElementEventMap>(name: Name, hear: (event: HTMLElementEventMap[Name]) => void): void {
    editor.addEventListener(name, hear, { signal: listening.signal });
  }

  function followCaret(): void {
    const isCaret = document.activeElement === editor && editor.selectionStart === editor.selectionEnd;
    if (isCaretMoving && isCaret) pointing.choose(tokenAt(editor.selectionStart));
  }

  listen("pointermove", (event) => {
    const isMouse = event.pointerType === "mouse" && event.buttons === 0;
    if (isMouse) pointing.pass(tokenUnder(event, layer.current));
  });
  listen("pointerleave", () => pointing.pass(null));
  listen("pointerdown", () => void (isCaretMoving = false));
  listen("click", (event) => pointing.choose(tokenUnder(event, layer.current)));
  listen("keydown", ({ key }) => void (isCaretMoving = CARET_KEYS.has(key)));
  listen("keyup", followCaret); // where the caret is already, nothing changes
  listen("input", () => pointing.choose(null));
  document.addEventListener("selectionchange", followCaret, { signal: listening.signal });
  return () => listening.abort();
}

/** The editor lies above the tokens, so they are looked for through it. */
function tokenUnder(event: MouseEvent, layer: HTMLElement | null): number | null {
  if (layer === null) return null;
  for (const rect of document.elementsFromPoint(event.clientX, event.clientY)) {
    const number = rect instanceof HTMLElement && layer.contains(rect) ? rect.dataset.token : undefined;
    if (number !== undefined) return Number(number);
  }
  return null;
}
