/** What was generated, the newest first: to search, to open again, to take along and to delete. */

import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { useApp } from "../../app";
import { Deleting } from "./Deleting";
import { Entry } from "./Entry";

export function History(): JSX.Element {
  const { history, account } = useApp();
  const list = useRef<HTMLUListElement>(null);
  const reader = account.session.value?.user?.id;
  useEffect(() => void history.load(), [reader]);
  const entries = history.entries.value;

  async function remove(id: string): Promise<void> {
    await history.remove(id);
    list.current?.focus(); // its button is gone with it
  }

  return (
    <main class="history">
      <div class="history-page">
        <Head />
        <Problem />
        <ul class="kept-list" aria-label="What was generated" tabIndex={-1} ref={list}>
          {entries.map((entry) => (
            <Entry key={entry.id} entry={entry} onRemove={() => remove(entry.id)} />
          ))}
        </ul>
        {entries.length === 0 && !history.isLoading.value && history.problem.value === null && <Nothing />}
        {history.hasMore.value && (
          <button type="button" class="button outlined" disabled={history.isLoading.value} onClick={() => void history.more()}>
            Show more
          </button>
        )}
      </div>
    </main>
  );
}

function Head(): JSX.Element {
  const { history } = useApp();
  const isEmpty = history.entries.value.length === 0;
  return (
    <header class="history-head">
      <input
        type="search"
        class="history-search"
        aria-label="Search the history"
        placeholder="Search prompts and texts"
        autocomplete="off"
        spellcheck={false}
        value={history.words.value}
        onInput={(event) => history.search(event.currentTarget.value)}
      />
      <span class="quiet" role="status">
        {statusWords(history.isLoading.value, history.words.value, history.entries.value.length, history.hasMore.value)}
      </span>
      {!(isEmpty && history.words.value === "") && (
        <span class="history-actions">
          <a class="button plain" href={history.exportUrl} download="history.jsonl" title="All of it as a file, one JSON object a line">
            Export
          </a>
          {history.words.value === "" && (
            <Deleting label="Delete all" question="Delete all for good" onDelete={history.removeAll} />
          )}
        </span>
      )}
    </header>
  );
}

function Problem(): JSX.Element | null {
  const { history } = useApp();
  if (history.problem.value === null) return null;
  return (
    <p class="history-problem error" role="alert">
      {history.problem.value}
      <button type="button" class="button outlined" onClick={() => void history.load()}>
        Try again
      </button>
    </p>
  );
}

function Nothing(): JSX.Element {
  const { history } = useApp();
  if (history.words.value.trim() !== "") {
    return (
      <p class="history-nothing quiet">
        Nothing here has all these words: {history.words.value.trim()}.
        <button type="button" class="button outlined" onClick={() => history.search("")}>
          Show everything
        </button>
      </p>
    );
  }
  return (
    <div class="history-nothing">
      <h2>Nothing is kept yet</h2>
      <p class="quiet">
        What is generated for you, here or by a program, is kept on the server with its settings, and only you find it. A
        server that was told to keep nothing shows nothing here either.
      </p>
      <a class="button outlined" href="#/write">
        Write something
      </a>
    </div>
  );
}

function statusWords(isLoading: boolean, words: string, number: number, hasMore: boolean): string {
  if (isLoading) return "Looking…";
  if (number === 0) return "";
  if (hasMore) return `the newest ${number.toLocaleString("en")}`;
  return `${number.toLocaleString("en")} ${words.trim() === "" ? "kept" : "found"}`;
}
