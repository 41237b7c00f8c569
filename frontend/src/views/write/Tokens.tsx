/**
 * Under the text, each generated token tinted by how unexpected it was; beside the one that is pointed at, or that the
 * caret is in, what else the model could have written.
 */

import { computed, useComputed } from "@preact/signals";
import type { JSX, RefObject } from "preact";
import { useEffect, useLayoutEffect, useMemo, useRef } from "preact/hooks";
import { useApp } from "../../app";
import { type Span, spanAt, spansOf } from "../../document/spans";
import { surpriseOf } from "../../generation/choices";
import { followHand } from "./hand";
import { createPointing } from "./pointing";
import { TokenCard } from "./TokenCard";

/** As many bits and more are shown alike: one chance in a thousand. */
const MOST_BITS = 10;

interface Props {
  readonly field: RefObject<HTMLTextAreaElement | null>;
}

export function Tokens({ field }: Props): JSX.Element {
  const { writing } = useApp();
  const spans = useMemo(() => computed(() => spansOf(writing.tree.value, writing.shownReport.value)), []);
  const pointing = useMemo(createPointing, []);
  const layer = useRef<HTMLDivElement>(null);
  const { current, text } = writing.tree.value;

  useEffect(() => {
    const caretToken = (offset: number): number | null => (writing.isRunning.value ? null : spanAt(spans.value, offset));
    return field.current === null ? undefined : followHand(field.current, layer, pointing, caretToken);
  }, []);

  // Its number means another token in another text.
  useLayoutEffect(() => () => pointing.choose(null), [current]);

  const index = pointing.token.value;
  const span = useComputed(() => (pointing.token.value === null ? undefined : spans.value[pointing.token.value])).value;
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
          key={span.start}
          span={span}
          anchor={layer.current?.querySelector(`[data-token="${index}"]`) ?? null}
          onClose={() => pointing.choose(null)}
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
