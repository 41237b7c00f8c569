/** What is kept of one piece of work. Knows nothing of where it is kept. */

import { describe, nodeAt, plant, type Tree } from "../document/tree";
import { IDLE, interrupt, type Report } from "../generation/report";
import type { Asked, Values } from "../wire";

/** `null` means the server's default. */
export interface Settings {
  readonly model: string | null;
  /** On top of the model; absent in drafts of before there were any. */
  readonly adapter?: string | null;
  readonly strategy: string | null;
  readonly chosen: Values;
}

export interface ComparedColumn {
  readonly id: number;
  readonly settings: Settings;
  /** What its text came from; the settings may have been changed since. */
  readonly asked: Asked | null;
  readonly text: string;
  readonly report: Report;
}

export interface Comparison {
  readonly prompt: string;
  /** The prompt that the columns' texts continue. */
  readonly askedPrompt: string;
  readonly columns: readonly ComparedColumn[];
  readonly marksDifferences: boolean;
}

export interface Draft {
  readonly id: string;
  /** Counts saves; how two tabs notice that they hold the same draft. */
  readonly revision: number;
  readonly updated: number;
  readonly tree: Tree;
  readonly settings: Settings;
  /** The newest generation, and the state of the tree that it belongs to. */
  readonly report: Report;
  readonly reportNode: number;
  readonly comparison: Comparison;
}

export interface DraftTitle {
  readonly id: string;
  readonly title: string;
  readonly updated: number;
}

export const DEFAULT_SETTINGS: Settings = { model: null, strategy: null, chosen: {} };
export const NO_COMPARISON: Comparison = { prompt: "", askedPrompt: "", columns: [], marksDifferences: true };

const TITLE_LENGTH = 60;

export function newDraft(id: string, now: number, settings: Settings = DEFAULT_SETTINGS): Draft {
  return {
    id,
    revision: 0,
    updated: now,
    tree: plant("", now),
    settings,
    report: IDLE,
    reportNode: 0,
    comparison: NO_COMPARISON,
  };
}

export function titleOf(draft: Draft): DraftTitle {
  const text = draft.tree.text.trim() || draft.comparison.prompt.trim();
  const line = text.split("\n", 1)[0] ?? "";
  const title = line.length > TITLE_LENGTH ? `${line.slice(0, TITLE_LENGTH - 1)}…` : line;
  return { id: draft.id, title: title || "Untitled", updated: draft.updated };
}

export function isBlank(draft: Draft): boolean {
  return draft.tree.nodes.length === 1 && draft.tree.text === "" && draft.comparison.prompt === "";
}

/** A draft as it was left: what was running then is not running now. */
export function reviveDraft(draft: Draft): Draft {
  const columns = draft.comparison.columns.map((column) => ({ ...column, report: interrupt(column.report) }));
  const comparison = { ...draft.comparison, columns };
  const report = interrupt(draft.report);
  const { origin } = nodeAt(draft.tree, draft.reportNode);
  if (report === draft.report || origin === null) return { ...draft, report, comparison };
  return { ...draft, report, comparison, tree: describe(draft.tree, draft.reportNode, { ...origin, report }) };
}
