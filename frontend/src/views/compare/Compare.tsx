/** One prompt through several strategies and models at once, side by side. */

import { type Signal, useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { useEffect } from "preact/hooks";
import { useApp } from "../../app";
import { barsOf } from "../../compare/bars";
import { isRunning } from "../../generation/report";
import type { ComparedColumn } from "../../storage/draft";
import { Column } from "./Column";
import { CompareStrip } from "./CompareStrip";
import { ComparePrompt } from "./ComparePrompt";

/** The order of the columns' ids while their names are hidden; `null` while they are shown. */
export type HiddenOrder = Signal<readonly number[] | null>;

export function Compare(): JSX.Element {
  const { catalog, comparing, writing } = useApp();
  const order: HiddenOrder = useSignal<readonly number[] | null>(null);
  const isReady = catalog.connection.value === "ready";

  useEffect(() => {
    if (isReady) comparing.prepare(writing.prompt(), writing.settings.peek());
  }, [isReady]);

  const { columns } = comparing.comparison.value;
  const bars = barsOf(columns.map(({ report }) => report));
  const shown = inOrder(columns, order.value);
  return (
    <main class="compare">
      <div class="compare-scroller">
        <ComparePrompt />
        <div class="columns" style={{ "--columns": columns.length }}>
          {shown.map((column, position) => (
            <Column
              key={column.id}
              column={column}
              bars={bars[columns.indexOf(column)] ?? []}
              letter={order.value === null ? null : String.fromCharCode(65 + position)}
              reference={referenceFor(column)}
            />
          ))}
        </div>
      </div>
      <CompareStrip order={order} />
    </main>
  );

  /** The first column's text, once it is finished, for every column but the first. */
  function referenceFor(column: ComparedColumn): string | null {
    const first = shown[0];
    const { marksDifferences } = comparing.comparison.value;
    if (!marksDifferences || first === undefined || first === column || isRunning(first.report)) return null;
    return first.text === "" ? null : first.text;
  }
}

function inOrder(columns: readonly ComparedColumn[], order: readonly number[] | null): readonly ComparedColumn[] {
  if (order === null) return columns;
  return columns.toSorted((a, b) => order.indexOf(a.id) - order.indexOf(b.id));
}
