/** Every state the text has been in: go back to any of them. */

import type { JSX } from "preact";
import { useApp } from "../../app";
import { type Entry, outline } from "../../document/outline";
import { firstTokenMs } from "../../generation/report";
import { count } from "../../state/status";
import { Icon } from "../Icon";

export function Branches(): JSX.Element {
  const { writing, screen } = useApp();
  const entries = outline(writing.tree.value);
  return (
    <aside class="branches" aria-label="Branches">
      <header>
        <h2>Branches</h2>
        <button
          type="button"
          class="button plain"
          aria-label="Close branches"
          onClick={() => (screen.showsBranches.value = false)}
        >
          <Icon name="cross" />
        </button>
      </header>
      {entries.length === 0 && <p class="quiet">Every state of your text is kept here. Nothing yet.</p>}
      <ol>
        {entries.map((entry) => (
          <Row key={entry.id} entry={entry} />
        ))}
      </ol>
    </aside>
  );
}

function Row({ entry }: { readonly entry: Entry }): JSX.Element {
  const { catalog, writing } = useApp();
  const { origin } = entry.node;
  const strategy = catalog.strategies.value.find(({ id }) => id === origin?.asked.strategy);
  return (
    <li style={{ "--depth": Math.min(entry.depth, 8) }}>
      <button
        type="button"
        class="branch"
        data-on-path={entry.isOnPath}
        aria-current={entry.isCurrent ? "step" : undefined}
        onClick={() => writing.go(entry.id)}
      >
        {origin === null ? (
          <Icon name="pen" />
        ) : (
          <span class="strategy-dot" style={{ background: strategy?.color ?? "transparent" }} aria-hidden="true" />
        )}
        <span class="branch-text">{entry.excerpt || "(nothing yet)"}</span>
        <span class="quiet branch-note">{origin ? noteOf(entry, strategy?.label ?? "") : "typed"}</span>
      </button>
    </li>
  );
}

function noteOf({ node }: Entry, strategy: string): string {
  const report = node.origin?.report;
  if (report === undefined || firstTokenMs(report) === null) return strategy;
  return `${strategy} · ${count(report.tokens, "token")}`;
}
