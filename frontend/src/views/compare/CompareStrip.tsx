/** The strip under the columns: run, stop, add, hide names, mark differences. */

import type { JSX } from "preact";
import { type App, useApp } from "../../app";
import { commandsOf } from "../../commands";
import { isRunning } from "../../generation/report";
import { MAX_COLUMNS } from "../../state/comparing";
import { remedyLabel } from "../../state/remedy";
import { count, NO_STATUS, type Remedy, type Status } from "../../state/status";
import { DEFAULT_SETTINGS } from "../../storage/draft";
import { CommandButton } from "../CommandButton";
import { Icon } from "../Icon";
import { StatusLine } from "../StatusLine";
import type { HiddenOrder } from "./Compare";
import { shuffled } from "./shuffle";

export function CompareStrip({ order }: { readonly order: HiddenOrder }): JSX.Element {
  const app = useApp();
  const { comparing, catalog } = app;
  const { columns, marksDifferences } = comparing.comparison.value;
  const commands = new Map(commandsOf(app).map((command) => [command.id, command]));
  const isHidden = order.value !== null;
  const status = statusOfAll(app);
  return (
    <footer class="strip">
      <div class="actions">
        {comparing.isRunning.value ? (
          <CommandButton command={commands.get("stop")} icon="stop" label="Stop all" kind="primary" />
        ) : (
          <CommandButton command={commands.get("run")} icon="play" label="Compare" kind="primary" />
        )}
        <button
          type="button"
          class="button plain"
          disabled={columns.length >= MAX_COLUMNS || isHidden}
          aria-label="Add a column"
          title="Add a column"
          onClick={comparing.add}
        >
          <Icon name="plus" />
          <span class="button-label">Column</span>
        </button>
        <button
          type="button"
          class="button plain"
          aria-label="Differences"
          aria-pressed={marksDifferences}
          title="Mark the words that the first column does not have"
          onClick={() => comparing.setMarksDifferences(!marksDifferences)}
        >
          <Icon name="differences" />
          <span class="button-label">Differences</span>
        </button>
        <button
          type="button"
          class="button plain"
          aria-label={isHidden ? "Show names" : "Hide names"}
          title="Hide the names and shuffle the columns, to judge the text alone"
          onClick={() => (order.value = isHidden ? null : shuffled(columns.map(({ id }) => id)))}
        >
          <Icon name={isHidden ? "eyeOff" : "eye"} />
          <span class="button-label">{isHidden ? "Show names" : "Hide names"}</span>
        </button>
        <CommandButton command={commands.get("code")} icon="code" label="Code" />
      </div>
      <StatusLine
        status={status}
        remedyLabel={status.remedy && remedyLabel(status.remedy, columns[0]?.settings ?? DEFAULT_SETTINGS, catalog)}
        onRemedy={(remedy) => mend(app, remedy)}
      />
    </footer>
  );
}

function mend({ catalog, comparing, screen }: App, remedy: Remedy): void {
  if (remedy.kind === "limits") screen.dialog.value = "account";
  else if (catalog.connection.value === "offline") catalog.connect();
  else comparing.mend(remedy);
}

function statusOfAll({ catalog, comparing, desk }: App): Status {
  if (catalog.connection.value === "offline") {
    return { tone: "error", text: catalog.problem.value ?? "", remedy: { kind: "try-again" } };
  }
  if (desk.problem.value !== null) return { tone: "error", text: desk.problem.value, remedy: null };
  const { columns } = comparing.comparison.value;
  const running = columns.filter(({ report }) => isRunning(report)).length;
  if (running > 0) return { ...NO_STATUS, text: `${count(running, "column")} of ${columns.length} writing…` };
  const { remedy } = comparing;
  return remedy.value === null ? NO_STATUS : { ...NO_STATUS, remedy: remedy.value };
}
