/** What is on the screen, as code that does the same. */

import { useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { useRef } from "preact/hooks";
import { type App, useApp } from "../app";
import { compareSnippets, generateSnippets, type Language, type Snippet } from "../code/snippets";
import type { Asked } from "../wire";
import { copyText } from "./clipboard";
import { Dialog } from "./Dialog";
import { Icon } from "./Icon";

/** The text as it was made, or the settings as they are: they part ways when a setting is changed. */
type Source = "text" | "settings";

const SOURCES: Readonly<Record<Source, string>> = { text: "This text", settings: "These settings" };
const NOTES: Readonly<Record<Source, string>> = {
  text: "With the seed of the text on the screen, so it gives the same text again.",
  settings: "Without a seed, each call gives another text. Set one under More to get the same again.",
};
const COPIED_MS = 1500;

export function CodeDialog(): JSX.Element {
  const app = useApp();
  const language = useSignal<Language>("curl");
  const chosenSource = useSignal<Source>("text");
  const sources = sourcesOf(app);
  const source = sources.includes(chosenSource.value) ? chosenSource.value : (sources[0] ?? "settings");
  const snippets = snippetsOf(app, source);
  const snippet = snippets.find((each) => each.language === language.value);
  return (
    <Dialog label="Get code" class="code">
      <div class="code-choices">
        <Segments
          label="Language"
          options={snippets.map((each) => [each.language, each.label])}
          chosen={language.value}
          onChoose={(value) => (language.value = value)}
        />
        {sources.length > 1 && (
          <Segments
            label="Code for"
            options={sources.map((each) => [each, SOURCES[each]])}
            chosen={source}
            onChoose={(value) => (chosenSource.value = value)}
          />
        )}
      </div>
      {snippet ? <Code key={snippet.language} snippet={snippet} /> : <p class="quiet">There is no prompt yet.</p>}
      <p class="quiet">{NOTES[source]}</p>
    </Dialog>
  );
}

interface SegmentsProps<T extends string> {
  readonly label: string;
  readonly options: readonly (readonly [T, string])[];
  readonly chosen: T;
  onChoose(value: T): void;
}

function Segments<T extends string>({ label, options, chosen, onChoose }: SegmentsProps<T>): JSX.Element {
  return (
    <div class="segments" role="group" aria-label={label}>
      {options.map(([value, text]) => (
        <button key={value} type="button" aria-pressed={value === chosen} onClick={() => onChoose(value)}>
          {text}
        </button>
      ))}
    </div>
  );
}

function Code({ snippet }: { readonly snippet: Snippet }): JSX.Element {
  const block = useRef<HTMLPreElement>(null);
  const isCopied = useSignal(false);

  async function copy(): Promise<void> {
    if (block.current === null) return;
    isCopied.value = await copyText(snippet.code, block.current);
    setTimeout(() => (isCopied.value = false), COPIED_MS);
  }

  return (
    <div class="code-block">
      <pre ref={block} tabIndex={0} aria-label={snippet.label}>
        {snippet.code}
      </pre>
      <button type="button" class="button outlined" onClick={() => void copy()}>
        <Icon name="copy" />
        <span aria-live="polite">{isCopied.value ? "Copied" : "Copy"}</span>
      </button>
    </div>
  );
}

function snippetsOf({ screen, writing, comparing, client }: App, source: Source): Snippet[] {
  if (screen.screen.value === "compare") {
    const { prompt, askedPrompt } = comparing.comparison.value;
    return source === "text"
      ? compareSnippets(client.base, askedPrompt, comparing.columnsOfTexts())
      : compareSnippets(client.base, prompt, comparing.columnsOfSettings());
  }
  const request = source === "text" ? writing.requestOfText() : writing.requestOfSettings();
  return request === null || request.prompt === "" ? [] : generateSnippets(client.base, request);
}

/** One source where text and settings agree: the text's, which has the seed. */
function sourcesOf(app: App): Source[] {
  const ofText = askedForText(app);
  if (ofText === null) return ["settings"];
  return withoutSeeds(ofText) === withoutSeeds(askedBySettings(app)) ? ["text"] : ["text", "settings"];
}

function askedForText({ screen, writing, comparing }: App): Asked[] | null {
  if (screen.screen.value === "compare") {
    const columns = comparing.columnsOfTexts();
    return columns.length === 0 ? null : [{ prompt: comparing.comparison.value.askedPrompt }, ...columns];
  }
  const request = writing.requestOfText();
  return request === null ? null : [request];
}

function askedBySettings({ screen, writing, comparing }: App): Asked[] {
  if (screen.screen.value === "compare") {
    return [{ prompt: comparing.comparison.value.prompt }, ...comparing.columnsOfSettings()];
  }
  const request = writing.requestOfSettings();
  return request === null ? [] : [request];
}

function withoutSeeds(requests: readonly Asked[]): string {
  return JSON.stringify(requests.map(({ seed: _, ...rest }) => rest));
}
