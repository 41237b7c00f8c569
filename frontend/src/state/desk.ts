/** Which draft is on the desk, and that nothing of it is lost. Knows nothing of the screen. */

import { batch, effect, type ReadonlySignal, signal } from "@preact/signals";
import type { DraftStore } from "../storage/database";
import { type Draft, type DraftTitle, isBlank, newDraft, reviveDraft } from "../storage/draft";
import { clearLastWords, readLastWords, writeLastWords } from "../storage/last_words";
import type { Comparing } from "./comparing";
import { freshId } from "./random";
import type { Writing } from "./writing";

export interface Desk {
  readonly recent: ReadonlySignal<readonly DraftTitle[]>;
  /** Why drafts are not being kept, when they are not. */
  readonly problem: ReadonlySignal<string | null>;
  readonly draftId: ReadonlySignal<string>;
  openLast(): Promise<void>;
  open(id: string): Promise<void>;
  startNew(): Promise<void>;
  forget(id: string): Promise<void>;
  refreshRecent(): Promise<void>;
  save(): Promise<void>;
  /** The page is being left. */
  leave(): void;
}

/** What a desk needs of the browser. */
export interface Drawers {
  readonly store: DraftStore;
  /** Of this tab. */
  readonly tab: Storage;
  /** Of all tabs. */
  readonly shared: Storage;
  date(): number;
}

const DRAFT_OF_TAB = "penstock.draft";
const SAVE_PAUSE_MS = 400;

export function createDesk(writing: Writing, comparing: Comparing, drawers: Drawers): Desk {
  const { store, tab, shared } = drawers;
  const recent = signal<readonly DraftTitle[]>([]);
  const problem = signal<string | null>(store.isLasting ? null : "This browser keeps nothing here. Copy your text before you leave.");
  const draftId = signal("");
  let revision = 0;
  let isDirty = false;
  let saving: Promise<void> = Promise.resolve();
  let timer: ReturnType<typeof setTimeout> | undefined;

  function snapshot(): Draft {
    return {
      id: draftId.peek(),
      revision,
      updated: drawers.date(),
      tree: writing.tree.peek(),
      settings: writing.settings.peek(),
      report: writing.report.peek(),
      reportNode: writing.reportNode.peek(),
      comparison: comparing.comparison.peek(),
    };
  }

  function adopt(draft: Draft): void {
    writing.stop();
    comparing.stop();
    const { tree, settings, report, reportNode, comparison } = reviveDraft(draft);
    batch(() => {
      writing.tree.value = tree;
      writing.settings.value = settings;
      writing.report.value = report;
      writing.reportNode.value = reportNode;
      comparing.comparison.value = comparison;
      draftId.value = draft.id;
    });
    revision = draft.revision;
    tab.setItem(DRAFT_OF_TAB, draft.id);
    clean();
  }

  function clean(): void {
    isDirty = false;
    clearTimeout(timer);
    timer = undefined;
  }

  /** Saves run one after another; each writes what is on the desk when its turn comes. */
  function save(): Promise<void> {
    clean();
    saving = saving.then(saveNow, saveNow);
    return saving;
  }

  async function saveNow(): Promise<void> {
    const draft = snapshot();
    if (draft.id === "" || isBlank(draft)) return;
    try {
      const saved = await store.save(draft);
      if (saved === null) return void moveToOwnCopy(draft);
      if (draft.id === draftId.peek()) revision = saved;
      clearLastWords(shared, draft.id, draft.updated);
      if (store.isLasting) problem.value = null;
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      problem.value = `This browser does not keep your text (${reason}). Copy it before you leave.`;
    }
  }

  /** Another tab works on this draft: ours goes on under a name of its own, and both are kept. */
  async function moveToOwnCopy(draft: Draft): Promise<void> {
    if (draft.id !== draftId.peek()) return;
    draftId.value = freshId();
    revision = 0;
    tab.setItem(DRAFT_OF_TAB, draftId.peek());
    await saveNow();
  }

  async function open(id: string): Promise<void> {
    if (isDirty) await save();
    const draft = await find(id);
    if (draft !== null) adopt(draft);
  }

  /** What was written in the instant of leaving is newer than what was saved before it. */
  async function find(id: string): Promise<Draft | null> {
    const stored = await store.load(id);
    const words = readLastWords(shared, id);
    if (words === null || (stored !== null && stored.updated >= words.updated)) return stored;
    return { ...words, revision: stored?.revision ?? 0 };
  }

  async function refreshRecent(): Promise<void> {
    recent.value = await store.titles();
  }

  effect(() => {
    writing.tree.value;
    writing.settings.value;
    writing.report.value;
    comparing.comparison.value;
    if (draftId.peek() === "") return;
    isDirty = true;
    timer ??= setTimeout(() => void save(), SAVE_PAUSE_MS);
  });

  return {
    recent,
    problem,
    draftId,
    async openLast() {
      const id = tab.getItem(DRAFT_OF_TAB);
      const draft = id === null ? null : await find(id);
      adopt(draft ?? newDraft(freshId(), drawers.date()));
    },
    open,
    async startNew() {
      if (isDirty) await save();
      adopt(newDraft(freshId(), drawers.date(), writing.settings.peek()));
    },
    async forget(id) {
      await store.forget(id);
      clearLastWords(shared, id);
      await refreshRecent();
      if (id === draftId.peek()) adopt(newDraft(freshId(), drawers.date(), writing.settings.peek()));
    },
    refreshRecent,
    save,
    leave() {
      writing.interrupt();
      comparing.interrupt();
      if (!isDirty && timer === undefined) return;
      const draft = snapshot();
      if (draft.id === "" || isBlank(draft)) return;
      writeLastWords(shared, draft);
      void save();
    },
  };
}
