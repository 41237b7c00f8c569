/** What else the model could have written in the place of one token. Any of it can be written instead. */

import { useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import { useApp } from "../../app";
import type { Span } from "../../document/spans";
import { isWholeText, rankOf, surpriseOf } from "../../generation/choices";
import type { ChosenToken, NextToken, TokenLogprob } from "../../wire";
import { percent, visible } from "../tokens";
import { Waterfall } from "./Waterfall";

const EDGE = 8;
/** As high as the steps of most chains, which come later. */
const STEPS_HEIGHT = 130;
/** Passing over a token is not asking about it. */
const LINGER_MS = 150;

interface Props {
  /** For the life of this card: another token has a card of its own. */
  readonly span: Span;
  readonly anchor: Element | null;
  onClose(): void;
}

export function TokenCard({ span, anchor, onClose }: Props): JSX.Element {
  const { lens, writing } = useApp();
  const card = useRef<HTMLElement>(null);
  const place = useSignal<Place | undefined>(undefined);
  const { choice } = span;
  const [first] = choice.tokens;
  const found = useSignal<NextToken | null>(null);
  const isUnknown = useSignal(false);
  const prompt = writing.tree.value.text.slice(0, span.start);

  // Once: what somebody is about to click stays where it is, whatever is found meanwhile.
  useLayoutEffect(() => {
    if (card.current !== null && anchor !== null) place.value = placeBeside(card.current, anchor);
  }, []);

  useEffect(() => {
    const controller = new AbortController();
    const timer = setTimeout(async () => {
      const answer = await lens.look(prompt, span.asked, controller.signal);
      if (controller.signal.aborted) return;
      found.value = answer;
      isUnknown.value = answer === null;
    }, LINGER_MS);
    return () => {
      clearTimeout(timer);
      controller.abort();
    };
  }, []);

  useEffect(() => {
    const close = (event: KeyboardEvent): void => void (event.key === "Escape" && onClose());
    const leave = (event: PointerEvent): void => {
      const isNear = event.target instanceof Element && event.target.closest(".token-card, .field") !== null;
      if (!isNear) onClose();
    };
    document.addEventListener("keydown", close);
    document.addEventListener("pointerdown", leave);
    return () => {
      document.removeEventListener("keydown", close);
      document.removeEventListener("pointerdown", leave);
    };
  }, []);

  const shown = place.value;

  /** Who chose from the keyboard goes on with it in the text. */
  function write({ token }: TokenLogprob): void {
    const isByKey = card.current?.querySelector(":focus-visible") !== null;
    onClose();
    writing.branch(span.start, token);
    if (isByKey) document.querySelector<HTMLElement>(".field")?.focus();
  }

  return (
    <section
      class="token-card"
      ref={card}
      aria-label={`The token ${visible(choice.text)}`}
      data-side={shown?.side}
      style={shown && { left: `${shown.left}px`, top: `${shown.top}px`, maxHeight: `${shown.room}px` }}
    >
      <header>
        <code>{visible(choice.text)}</code>
        <span>{wordsOf(surpriseOf(choice), first)}</span>
      </header>
      {choice.tokens.length === 1 && first !== undefined && (
        <ol>
          {withChosen(first).map((token) => (
            <li key={token.token_id}>
              <Alternative
                token={token}
                after={chanceAfter(found.value, token)}
                isChosen={token.token_id === first.token_id}
                onChoose={() => write(token)}
              />
            </li>
          ))}
        </ol>
      )}
      {found.value !== null && (
        <div class="steps">
          <Waterfall stages={found.value.stages} chosen={first?.token_id ?? null} />
        </div>
      )}
      {isUnknown.value && <p class="steps-unknown">The server did not tell what your settings made of it.</p>}
      <p class="quiet">
        The model’s own probability, then that after your settings. Choose another to write on from there; Undo brings
        this text back.
      </p>
    </section>
  );
}

interface AlternativeProps {
  readonly token: TokenLogprob;
  /** Its probability after the whole chain; `null` while it is not known. */
  readonly after: number | null;
  readonly isChosen: boolean;
  onChoose(): void;
}

function Alternative({ token, after, isChosen, onChoose }: AlternativeProps): JSX.Element {
  const chance = Math.exp(token.logprob);
  return (
    <button
      type="button"
      class="alternative"
      aria-current={isChosen}
      disabled={!isWholeText(token.token)}
      title={isChosen ? "This one was written. Write on from here again" : `Write ${visible(token.token)} instead`}
      onClick={onChoose}
    >
      <code>{visible(token.token)}</code>
      <span class="chance" style={{ "--chance": chance }} />
      <span class="number">{percent(chance)}</span>
      <span class="number after">{after === null ? "" : after === 0 ? "out" : percent(after)}</span>
    </button>
  );
}

/** After the last stage; what the list of the likeliest does not name any more has fallen out or is far below. */
function chanceAfter(found: NextToken | null, token: TokenLogprob): number | null {
  const last = found?.stages.at(-1);
  if (last === undefined) return null;
  const kept = last.top.find(({ token_id: id }) => id === token.token_id);
  if (kept !== undefined) return Math.exp(kept.logprob);
  return last.top.length < last.num_kept ? null : 0;
}

/** The chosen token stands among the best, or after them. */
function withChosen(chosen: ChosenToken): readonly TokenLogprob[] {
  return rankOf(chosen) === null ? [...chosen.top, chosen] : chosen.top;
}

function wordsOf(bits: number, chosen: ChosenToken | undefined): string {
  const rank = chosen === undefined ? null : rankOf(chosen);
  const place = rank === null ? "" : rank === 1 ? ", the likeliest" : `, ${rank}. likeliest`;
  return `${percent(2 ** -bits)}${place}`;
}

interface Place {
  readonly side: "below" | "above";
  readonly left: number;
  /** Of the card's edge at the token. */
  readonly top: number;
  /** For the whole card. */
  readonly room: number;
}

/** Under the token, or above it where there is more room; within the sheet in any case. */
function placeBeside(card: HTMLElement, anchor: Element): Place {
  const sheet = card.parentElement?.getBoundingClientRect() ?? new DOMRect();
  const scroller = card.closest(".scroller")?.getBoundingClientRect() ?? sheet;
  const rects = anchor.getClientRects();
  const token = rects[rects.length - 1] ?? anchor.getBoundingClientRect();
  const rightmost = Math.min(sheet.right, scroller.right - EDGE) - card.offsetWidth;
  const left = Math.max(scroller.left + EDGE, Math.min(token.left, rightmost)) - sheet.left;
  const below = scroller.bottom - token.bottom - EDGE;
  const above = token.top - scroller.top - EDGE;
  const isBelow = below >= card.offsetHeight + STEPS_HEIGHT || below >= above || above < card.offsetHeight;
  return isBelow
    ? { side: "below", left, top: token.bottom - sheet.top, room: Math.max(below, card.offsetHeight + STEPS_HEIGHT) }
    : { side: "above", left, top: token.top - sheet.top, room: above };
}
