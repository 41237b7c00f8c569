/**
 * Under the text, each generated token tinted by how unexpected it was; beside the one that is pointed at, or that the
 * caret is in, what else the model could have written.
 */

import { computed, useComputed, useSignal } from "@preact/signals";
import type { JSX, RefObject } from "preact";
import { useEffect, useMemo, useRef } from "preact/hooks";
import { useApp } from "../../app";
import { type Span, spanAt, spansOf } from "../../document/spans";
import { surpriseOf } from "../../generation/choices";
import { TokenCard } from "./TokenCard";

/** As many bits and more are shown alike: one chance in a thousand. */
const MOST_BITS = 10;

interface Props {
  readonly field: RefObject<HTMLTextAreaElement | null>;
}

export function Tokens({ field }: Props): JSX.Element {
  const { writing } = useApp();
  const spans = useMemo(() => computed(() => spansOf(writing.tree.value, writing.shownReport.value)), []);
  const pointedAt = useSignal<number | null>(null);
  const layer = useRef<HTMLDivElement>(null);
  const text = writing.tree.value.text;

  useEffect(() => {
    const editor = field.current;
    if (editor === null) return;
    const point = (event: PointerEvent): void => {
      if (event.pointerType === "mouse") pointedAt.value = tokenUnder(event, layer.current) ?? pointedAt.value;
    };
    const followCaret = (): void => {
      if (document.activeElement !== editor || editor.selectionStart !== editor.selectionEnd) return;
      pointedAt.value = writing.isRunning.value ? null : spanAt(spans.value, editor.selectionStart);
    };
    editor.addEventListener("pointermove", point);
    document.addEventListener("selectionchange", followCaret);
    return () => {
      editor.removeEventListener("pointermove", point);
      document.removeEventListener("selectionchange", followCaret);
    };
  }, []);

  const index = pointedAt.value;
  const span = useComputed(() => (pointedAt.value === null ? undefined : spans.value[pointedAt.value])).value;
  return (
    <>
      <div class="drawn tokens" aria-hidden="true" ref={layer}>
        {pieces(text, spans.value).map(({ text: piece, span: place, number }) =>
          place === null ? (
            piece
          ) : (
            <span
              key={number}
              class="token"
              data-token={number}
              data-pointed-at={number === index}
              style={{ "--surprise": `${tintOf(place)}%` }}
            >
              {piece}
            </span>
          ),
        )}
      </div>
      {span !== undefined && index !== null && (
        <TokenCard
          span={span}
          anchor={layer.current?.querySelector(`[data-token="${index}"]`) ?? null}
          onClose={() => (pointedAt.value = null)}
        />
      )}
    </>
  );
}

interface Piece {
  readonly text: string;
  readonly span: Span | null;
  readonly number: number;
}

/** The whole text in order: tokens, and what lies between them. */
function pieces(text: string, spans: readonly Span[]): Piece[] {
  const found: Piece[] = [];
  let end = 0;
  spans.forEach((span, number) => {
    if (span.start > end) found.push({ text: text.slice(end, span.start), span: null, number });
    found.push({ text: text.slice(span.start, span.end), span, number });
    end = span.end;
  });
  found.push({ text: text.slice(end), span: null, number: spans.length });
  return found;
}

function tintOf({ choice }: Span): number {
  return Math.round(Math.min(1, surpriseOf(choice) / MOST_BITS) * 100);
}

/** The editor lies above the tokens, so they are looked for through it. */
function tokenUnder(event: PointerEvent, layer: HTMLElement | null): number | null {
  if (layer === null) return null;
  for (const rect of document.elementsFromPoint(event.clientX, event.clientY)) {
    const number = rect instanceof HTMLElement && layer.contains(rect) ? rect.dataset.token : undefined;
    if (number !== undefined) return Number(number);
  }
  return null;
}
