/** One request of the history: how its text begins, what wrote it and when, and the way of it to Write. */

import { Fragment, type JSX } from "preact";
import { useApp } from "../../app";
import { joined } from "../../document/answers";
import { oneLineEnding } from "../../document/patch";
import { originOf, settingsOf } from "../../state/history";
import { count } from "../../state/status";
import type { Kept } from "../../wire";
import { Icon } from "../Icon";
import { whenLabel } from "../when";
import { Deleting } from "./Deleting";

/** As much as tells one text from others. */
const PROMPT_CHARACTERS = 160;
const TEXT_CHARACTERS = 360;
const OUTCOMES: Readonly<Record<Kept["outcome"], string | null>> = {
  completed: null,
  cached: "from the cache",
  cancelled: "stopped",
  failed: "failed",
};

interface Props {
  readonly entry: Kept;
  onRemove(): Promise<void>;
}

export function Entry({ entry, onRemove }: Props): JSX.Element {
  const { catalog, writing, screen } = useApp();
  const strategy = catalog.strategies.value.find(({ id }) => id === entry.parameters.strategy);
  const model = catalog.models.value.find(({ id }) => id === entry.model);
  const facts = [
    model?.label ?? entry.model,
    count(entry.completion_tokens, "token"),
    OUTCOMES[entry.outcome],
  ].filter((fact) => fact !== null);

  function open(text: string): void {
    const whole = oneLineEnding(joined(entry.prompt, text, model?.family ?? ""));
    writing.place(whole, whole.length - oneLineEnding(text).length, originOf(entry));
    writing.settings.value = settingsOf(entry);
    screen.screen.value = "write";
  }

  return (
    <li class="kept">
      {entry.texts.map((text, number) => (
        <Fragment key={number}>
          <p class="kept-text" id={`${entry.id}-${number}`}>
            <span>{ending(entry.prompt)}</span>
            <span class="continuation">{beginning(text)}</span>
          </p>
          <button
            type="button"
            class="button plain open"
            aria-describedby={`${entry.id}-${number}`}
            title="Undo there brings back what you had"
            onClick={() => open(text)}
          >
            <Icon name="pen" /> Open in Write
          </button>
        </Fragment>
      ))}
      <p class="kept-facts">
        <span class="strategy-dot" style={{ background: strategy?.color }} />
        <span>{strategy?.label ?? entry.parameters.strategy}</span>
        <span class="quiet">{facts.join(" · ")}</span>
        <time class="quiet" datetime={entry.created_at} title={new Date(entry.created_at).toLocaleString("en")}>
          {whenLabel(Date.parse(entry.created_at))}
        </time>
      </p>
      <Deleting label="Delete" question="Delete for good" describedBy={`${entry.id}-0`} onDelete={onRemove} />
    </li>
  );
}

function ending(prompt: string): string {
  return prompt.length > PROMPT_CHARACTERS ? `…${prompt.slice(-PROMPT_CHARACTERS)}` : prompt;
}

function beginning(text: string): string {
  return text.length > TEXT_CHARACTERS ? `${text.slice(0, TEXT_CHARACTERS)}…` : text;
}
