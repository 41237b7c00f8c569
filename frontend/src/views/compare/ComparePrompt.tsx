/** The prompt that all columns get; the field grows with it. */

import type { JSX } from "preact";
import { useApp } from "../../app";
import { lastLineHolder } from "../last_line";

export function ComparePrompt(): JSX.Element {
  const { comparing } = useApp();
  const { prompt } = comparing.comparison.value;
  return (
    <div class="compare-prompt">
      <div class="drawn" aria-hidden="true">
        {prompt + lastLineHolder(prompt)}
      </div>
      <textarea
        class="field visible"
        aria-label="Prompt for all columns"
        placeholder="One beginning for all of them…"
        spellcheck={false}
        autocomplete="off"
        value={prompt}
        onInput={(event) => comparing.setPrompt(event.currentTarget.value)}
      />
    </div>
  );
}
