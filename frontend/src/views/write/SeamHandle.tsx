/** The mark between prompt and continuation; it can be dragged, or moved by words with the arrow keys. */

import { effect, useSignal } from "@preact/signals";
import type { JSX, RefObject } from "preact";
import { useEffect } from "preact/hooks";
import { useApp } from "../../app";
import { wordEndAfter, wordEndBefore, wordEndNear } from "../../document/words";
import { seamOf } from "../../state/writing";

interface Props {
  readonly prompt: RefObject<HTMLElement | null>;
  readonly continuation: RefObject<HTMLElement | null>;
  readonly field: RefObject<HTMLElement | null>;
}

interface Place {
  readonly left: number;
  readonly top: number;
}

export function SeamHandle({ prompt, continuation, field }: Props): JSX.Element | null {
  const { writing } = useApp();
  const place = useSignal<Place | null>(null);

  useEffect(() => {
    const measure = (): void => {
      const tree = writing.tree.value;
      const isShown = tree.nodes[tree.current]?.kind === "generation" && !writing.isRunning.value;
      place.value = isShown ? placeOf(prompt.current, continuation.current) : null;
    };
    const stop = effect(measure);
    const observer = new ResizeObserver(measure);
    if (prompt.current?.parentElement) observer.observe(prompt.current.parentElement);
    return () => {
      stop();
      observer.disconnect();
    };
  }, []);

  const tree = writing.tree.value;
  if (place.value === null) return null;
  const seam = seamOf(tree);

  function drag(event: PointerEvent): void {
    const handle = event.currentTarget as HTMLElement;
    if (!handle.hasPointerCapture(event.pointerId)) return;
    const offset = offsetAt(event, prompt.current, continuation.current, field.current);
    if (offset !== null) writing.moveSeam(wordEndNear(tree.text, offset));
  }

  function onKeyDown(event: KeyboardEvent): void {
    const move = { ArrowLeft: wordEndBefore, ArrowRight: wordEndAfter }[event.key];
    if (move === undefined) return;
    event.preventDefault();
    writing.moveSeam(move(tree.text, seam));
  }

  return (
    <div
      class="seam"
      role="slider"
      tabIndex={0}
      aria-label="Where the continuation starts"
      aria-valuemin={0}
      aria-valuemax={tree.text.length}
      aria-valuenow={seam}
      aria-valuetext={`after “${tree.text.slice(Math.max(0, seam - 30), seam)}”`}
      title="The continuation starts here. Drag to write again from another place."
      style={{ left: `${place.value.left}px`, top: `${place.value.top}px` }}
      onPointerDown={(event) => {
        event.preventDefault();
        event.currentTarget.setPointerCapture(event.pointerId);
      }}
      onPointerMove={drag}
      onKeyDown={onKeyDown}
    />
  );
}

/** After the last character of the prompt, so that the mark stays on its line. */
function placeOf(prompt: HTMLElement | null, continuation: HTMLElement | null): Place | null {
  const sheet = prompt?.parentElement?.getBoundingClientRect();
  const start = edgeOf(prompt, "end") ?? edgeOf(continuation, "start");
  if (sheet === undefined || start === null) return null;
  return { left: start.left - sheet.left, top: start.top - sheet.top };
}

function edgeOf(run: HTMLElement | null, edge: "start" | "end"): Place | null {
  const text = run?.firstChild;
  if (!(text instanceof Text) || text.length === 0) return null;
  const range = document.createRange();
  range.setStart(text, edge === "end" ? text.length - 1 : 0);
  range.setEnd(text, edge === "end" ? text.length : 1);
  const rects = range.getClientRects();
  const rect = rects[edge === "end" ? rects.length - 1 : 0];
  if (rect === undefined) return null;
  return { left: edge === "end" ? rect.right : rect.left, top: rect.top };
}

/** Which character of the text is under the pointer. The textarea lies above it and has to step aside. */
function offsetAt(
  event: PointerEvent,
  prompt: HTMLElement | null,
  continuation: HTMLElement | null,
  field: HTMLElement | null,
): number | null {
  const handle = event.currentTarget as HTMLElement;
  const aside = [handle, ...(field ? [field] : [])];
  for (const element of aside) element.style.pointerEvents = "none";
  const found = document.caretPositionFromPoint(event.clientX, event.clientY);
  for (const element of aside) element.style.pointerEvents = "";
  if (found === null || prompt === null) return null;
  if (prompt.contains(found.offsetNode)) return found.offset;
  if (continuation?.contains(found.offsetNode)) return (prompt.textContent ?? "").length + found.offset;
  return null;
}
