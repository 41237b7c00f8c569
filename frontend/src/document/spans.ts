/** Where in the text each generated token stands, as far as editing has left them whole. */

import type { Choice } from "../generation/choices";
import type { Report } from "../generation/report";
import type { Asked } from "../wire";
import { oneLineEnding } from "./patch";
import { nodeAt, pathFromRoot, type Tree } from "./tree";

export interface Span {
  readonly start: number;
  readonly end: number;
  readonly choice: Choice;
  /** What the generation that it came from was asked for. */
  readonly asked: Asked;
}

/** The spans of the text at `current`, in order. `report` is that state's own, which may still be growing. */
export function spansOf(tree: Tree, report: Report): readonly Span[] {
  let spans: Span[] = [];
  for (const id of pathFromRoot(tree, tree.current)) {
    const { patch, kind, origin } = nodeAt(tree, id);
    const shift = patch.inserted.length - patch.removed.length;
    spans = spans.flatMap((span) => moved(span, patch.start, patch.start + patch.removed.length, shift));
    if (kind !== "generation" || origin === null) continue;
    const { choices = [] } = id === tree.current ? report : origin.report;
    spans = [...spans, ...placed(choices, origin.asked, patch.start + patch.inserted.length)];
  }
  return spans.filter((span) => tree.text.slice(span.start, span.end) === oneLineEnding(span.choice.text));
}

/** The span that holds the character before `offset`, or the one after it at the start of the text. */
export function spanAt(spans: readonly Span[], offset: number): number | null {
  const index = spans.findIndex(({ start, end }) => start < Math.max(1, offset) && offset <= end);
  return index === -1 ? null : index;
}

function moved(span: Span, from: number, to: number, shift: number): Span[] {
  if (span.end <= from) return [span];
  if (span.start < to) return [];
  return [{ ...span, start: span.start + shift, end: span.end + shift }];
}

/** A generation ends where its text ends, so its tokens are placed from there backwards. */
function placed(choices: readonly Choice[], asked: Asked, end: number): Span[] {
  const length = choices.reduce((sum, { text }) => sum + oneLineEnding(text).length, 0);
  let start = end - length;
  return choices.map((choice) => {
    const span = { start, end: start + oneLineEnding(choice.text).length, choice, asked };
    start = span.end;
    return span;
  });
}
