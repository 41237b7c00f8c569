/**
 * Prompt and continuation in one editor. A transparent textarea does the editing, so that input methods, pasting,
 * selection and the caret are the browser's own; the same text, drawn beneath it, carries the tint.
 */

import { effect } from "@preact/signals";
import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { useApp } from "../../app";
import { seamOf } from "../../state/writing";
import { lastLineHolder } from "../last_line";
import { SeamHandle } from "./SeamHandle";
import { Tokens } from "./Tokens";

/** Reading further up than this, one is not pulled along by the text that arrives. */
const END_ZONE = 64;

export function Pad(): JSX.Element {
  const { writing, screen } = useApp();
  const field = useRef<HTMLTextAreaElement>(null);
  const prompt = useRef<HTMLSpanElement>(null);
  const continuation = useRef<HTMLSpanElement>(null);
  const lastLine = useRef<HTMLSpanElement>(null);
  const isComposing = useRef(false);

  useEffect(
    () =>
      effect(() => {
        const tree = writing.tree.value;
        if (!field.current || !prompt.current || !continuation.current || !lastLine.current) return;
        const keepEnd = followEnd(field.current);
        const seam = seamOf(tree);
        setText(prompt.current, tree.text.slice(0, seam));
        setText(continuation.current, tree.text.slice(seam));
        setText(lastLine.current, lastLineHolder(tree.text));
        if (!isComposing.current) setValue(field.current, tree.text);
        if (tree.text !== "") keepEnd(); // examples are read from the top
      }),
    [],
  );

  return (
    <div class="sheet" data-tokens={screen.showsSurprise.value}>
      <div class="drawn" aria-hidden="true">
        <span class="prompt" ref={prompt} />
        <span class="continuation" ref={continuation} />
        <span ref={lastLine} />
      </div>
      <textarea
        ref={field}
        class="field"
        aria-label="Your text"
        placeholder="Write the beginning…"
        autofocus
        spellcheck={false}
        autocomplete="off"
        autocapitalize="off"
        onInput={(event) => writing.type(event.currentTarget.value)}
        onCompositionStart={() => {
          isComposing.current = true;
          writing.stop();
        }}
        onCompositionEnd={(event) => {
          isComposing.current = false;
          writing.type(event.currentTarget.value);
        }}
        onBeforeInput={(event) => {
          const undo = { historyUndo: writing.undo, historyRedo: writing.redo }[event.inputType];
          if (undo === undefined) return;
          event.preventDefault();
          undo();
        }}
      />
      {screen.showsSurprise.value && <Tokens field={field} />}
      <SeamHandle prompt={prompt} continuation={continuation} field={field} />
    </div>
  );
}

/** One text node per run; what only grew is only appended to. */
function setText(element: HTMLElement, text: string): void {
  const node = element.firstChild;
  if (!(node instanceof Text)) element.append(text);
  else if (text.length > node.length && text.startsWith(node.data)) node.appendData(text.slice(node.length));
  else if (text !== node.data) node.data = text;
}

/** The caret stays where it was; at the end, it stays at the end. After undo it goes to what changed. */
function setValue(field: HTMLTextAreaElement, text: string): void {
  const before = field.value;
  if (before === text) return;
  const isAtEnd = field.selectionStart === before.length;
  if (text.startsWith(before)) {
    field.setRangeText(text.slice(before.length), before.length, before.length, "preserve");
    if (isAtEnd) field.setSelectionRange(text.length, text.length);
    return;
  }
  const caret = text.length - commonEnd(before, text);
  field.value = text;
  field.setSelectionRange(caret, caret);
}

function commonEnd(a: string, b: string): number {
  const most = Math.min(a.length, b.length);
  let length = 0;
  while (length < most && a[a.length - 1 - length] === b[b.length - 1 - length]) length += 1;
  return length;
}

/** Notes whether the reader is at the end now; the returned function goes on to the new end if so. */
function followEnd(field: HTMLElement): () => void {
  const scroller = field.closest(".scroller");
  if (scroller === null) return () => undefined;
  const isAtEnd = scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < END_ZONE;
  return () => {
    if (isAtEnd) scroller.scrollTop = scroller.scrollHeight;
  };
}
