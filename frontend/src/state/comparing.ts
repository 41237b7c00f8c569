/** One prompt through several columns at once. Knows nothing of storage or the screen. */

import { batch, computed, type ReadonlySignal, type Signal, signal } from "@preact/signals";
import type { Client } from "../api/client";
import type { Failure } from "../api/failure";
import { advance, begin, fail, IDLE, interrupt, isRunning, type Report, stop } from "../generation/report";
import { askFor } from "../parameters/values";
import { type ComparedColumn, type Comparison, NO_COMPARISON, type Settings } from "../storage/draft";
import type { Asked, StreamEvent } from "../wire";
import type { Catalog } from "./catalog";
import { remedied } from "./remedy";
import { type Remedy, statusOf } from "./status";
import { type Following, follow } from "./follow";
import type { Clock } from "./writing";

export const MIN_COLUMNS = 2;
export const MAX_COLUMNS = 6;
const FIRST_COLUMNS = 4;

export interface Comparing {
  readonly comparison: Signal<Comparison>;
  readonly isRunning: ReadonlySignal<boolean>;
  readonly canRun: ReadonlySignal<boolean>;
  /** Fills an empty comparison: this prompt, one column per strategy. */
  prepare(prompt: string, settings: Settings): void;
  setPrompt(prompt: string): void;
  run(): void;
  stop(): void;
  /** Like `stop`, because the page is being left. */
  interrupt(): void;
  add(): void;
  duplicate(id: number): void;
  remove(id: number): void;
  configure(id: number, settings: Settings): void;
  /** What would help the columns that were refused; `null` when none was, or when they need different things. */
  readonly remedy: ReadonlySignal<Remedy | null>;
  /** Changes the settings of the refused columns accordingly, and runs again. */
  mend(remedy: Remedy): void;
  setMarksDifferences(marks: boolean): void;
  /** What made the texts on the screen, with their seeds; empty when there are none. */
  columnsOfTexts(): Asked[];
  /** What the settings on the screen would ask for. */
  columnsOfSettings(): Asked[];
}

export function createComparing(client: Client, catalog: Catalog, clock: Clock): Comparing {
  const comparison = signal<Comparison>(NO_COMPARISON);
  let following: Following | null = null;

  const running = computed(() => comparison.value.columns.some(({ report }) => isRunning(report)));

  function change(id: number, to: (column: ComparedColumn) => ComparedColumn): void {
    const columns = comparison.value.columns.map((column) => (column.id === id ? to(column) : column));
    comparison.value = { ...comparison.value, columns };
  }

  function changeAll(to: (column: ComparedColumn) => ComparedColumn): void {
    comparison.value = { ...comparison.value, columns: comparison.value.columns.map(to) };
  }

  function run(): void {
    const { prompt, columns } = comparison.value;
    const asked = columnsOfSettings();
    if (prompt === "" || asked.length !== columns.length) return;
    halt(stop);
    const ids = columns.map(({ id }) => id);
    batch(() => {
      const started = columns.map((column, index) => ({
        ...column,
        asked: asked[index] ?? null,
        text: "",
        report: begin(clock.now()),
      }));
      comparison.value = { ...comparison.value, askedPrompt: prompt, columns: started };
    });
    const listener = {
      receive: (events: readonly StreamEvent[]) => receive(events, ids),
      end: () => endAll(stop),
      fail: (failure: Failure) => endAll((report) => fail(report, failure)),
    };
    const request = { prompt, columns: asked, metrics: true, stream: true };
    following = follow((abort) => client.compare(request, abort), listener, clock.schedule);
  }

  function receive(events: readonly StreamEvent[], ids: readonly number[]): void {
    const now = clock.now();
    changeAll((column) => {
      const mine = events.filter((event) => ids[event.column ?? 0] === column.id);
      return mine.length === 0 ? column : mine.reduce((state, event) => take(state, event, now), column);
    });
  }

  /** Whatever has not ended by itself ends now. */
  function endAll(to: (report: Report) => Report): void {
    following = null;
    changeAll((column) => (isRunning(column.report) ? { ...column, report: to(column.report) } : column));
  }

  function halt(mark: (report: Report) => Report): void {
    following?.stop();
    endAll(mark);
  }

  function insert(after: number, settings: Settings): void {
    const { columns } = comparison.value;
    if (columns.length >= MAX_COLUMNS) return;
    const id = 1 + Math.max(0, ...columns.map((column) => column.id));
    const fresh = { id, settings, asked: null, text: "", report: IDLE };
    comparison.value = { ...comparison.value, columns: columns.toSpliced(after + 1, 0, fresh) };
  }

  function columnsOfSettings(): Asked[] {
    return comparison.value.columns.flatMap(({ settings }) => catalog.recipeOf(settings) ?? []).map(askFor);
  }

  function refusedColumns(): ComparedColumn[] {
    return comparison.value.columns.filter(({ report }) => report.phase === "failed");
  }

  function remedyOf({ settings, report }: ComparedColumn): Remedy | null {
    const names = catalog.strategyOf(settings)?.parameters.map(({ name }) => name) ?? [];
    return statusOf(report, null, names).remedy;
  }

  /** The next strategy that no column shows yet. */
  function unseen(settings: Settings): Settings {
    const shown = new Set(comparison.value.columns.map((column) => catalog.strategyOf(column.settings)?.id));
    const next = catalog.strategies.value.find(({ id }) => !shown.has(id));
    return next === undefined ? settings : { ...settings, strategy: next.id };
  }

  return {
    comparison,
    isRunning: running,
    canRun: computed(() => {
      const { prompt, columns } = comparison.value;
      return prompt !== "" && columns.length >= MIN_COLUMNS && catalog.connection.value === "ready";
    }),
    prepare(prompt, settings) {
      if (comparison.value.columns.length > 0) return;
      const strategies = catalog.strategies.value.slice(0, FIRST_COLUMNS);
      const columns = strategies.map(({ id: strategy }, id) => ({
        id,
        settings: { ...settings, strategy },
        asked: null,
        text: "",
        report: IDLE,
      }));
      comparison.value = { ...comparison.value, prompt: comparison.value.prompt || prompt, columns };
    },
    setPrompt(prompt) {
      comparison.value = { ...comparison.value, prompt };
    },
    run,
    stop: () => halt(stop),
    interrupt: () => halt(interrupt),
    add() {
      const { columns } = comparison.value;
      const last = columns.at(-1);
      if (last !== undefined) insert(columns.length - 1, unseen(last.settings));
    },
    duplicate(id) {
      const index = comparison.value.columns.findIndex((column) => column.id === id);
      const column = comparison.value.columns[index];
      if (column !== undefined) insert(index, column.settings);
    },
    remove(id) {
      const columns = comparison.value.columns.filter((column) => column.id !== id);
      if (columns.length >= MIN_COLUMNS) comparison.value = { ...comparison.value, columns };
    },
    configure: (id, settings) => change(id, (column) => ({ ...column, settings })),
    remedy: computed(() => {
      const [first, ...others] = refusedColumns().map(remedyOf);
      return first && others.every((other) => JSON.stringify(other) === JSON.stringify(first)) ? first : null;
    }),
    mend(remedy) {
      const refused = refusedColumns();
      changeAll((column) =>
        refused.includes(column) ? { ...column, settings: remedied(column.settings, remedy) } : column,
      );
      run();
    },
    setMarksDifferences(marksDifferences) {
      comparison.value = { ...comparison.value, marksDifferences };
    },
    columnsOfTexts() {
      return comparison.value.columns.flatMap(({ asked, report: { seed } }) =>
        asked === null ? [] : [{ ...asked, ...(seed === null ? {} : { seed }) }],
      );
    },
    columnsOfSettings,
  };
}

function take(column: ComparedColumn, event: StreamEvent, now: number): ComparedColumn {
  const report = advance(column.report, event, now);
  const piece = event.event === "token" && event.index === 0 ? event.text : "";
  return { ...column, report, text: column.text + piece };
}
