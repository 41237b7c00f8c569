/** The strip under the pad: what to do, how it goes, and its figures. */

import type { JSX } from "preact";
import { type App, useApp } from "../../app";
import { commandsOf } from "../../commands";
import { hasTwin } from "../../document/tree";
import { remedied, remedyLabel } from "../../state/remedy";
import { type Remedy, type Status, statusOf } from "../../state/status";
import { CommandButton } from "../CommandButton";
import { Icon } from "../Icon";
import { Metrics } from "../Metrics";
import { StatusLine } from "../StatusLine";

export function WriteStrip(): JSX.Element {
  const app = useApp();
  const { catalog, writing, screen } = app;
  const commands = new Map(commandsOf(app).map((command) => [command.id, command]));
  const status = pageStatus(app);
  return (
    <footer class="strip">
      <div class="actions">
        {writing.isRunning.value ? (
          <CommandButton command={commands.get("stop")} icon="stop" label="Stop" kind="primary" />
        ) : (
          <CommandButton command={commands.get("generate")} icon="play" label="Generate" kind="primary" />
        )}
        <CommandButton command={commands.get("undo")} icon="undo" label="Undo" />
        <CommandButton command={commands.get("redo")} icon="redo" label="Redo" />
        <CommandButton command={commands.get("again")} icon="again" label="Again" />
        <CommandButton
          command={commands.get("branches")}
          icon="branch"
          label="Branches"
          pressed={screen.showsBranches.value}
        />
        <CommandButton
          command={commands.get("surprise")}
          icon="chances"
          label="Tokens"
          pressed={screen.showsSurprise.value}
        />
        <CommandButton command={commands.get("code")} icon="code" label="Code" />
        <button
          type="button"
          class="button plain sheet-button"
          aria-label="Settings"
          aria-expanded={screen.showsSheet.value}
          onClick={() => (screen.showsSheet.value = true)}
        >
          <Icon name="sliders" />
          <span class="button-label">Settings</span>
        </button>
      </div>
      <StatusLine
        status={status}
        remedyLabel={status.remedy && remedyLabel(status.remedy, writing.settings.value, catalog)}
        onRemedy={(remedy) => mend(app, remedy)}
      />
      <Metrics report={writing.shownReport.value} />
    </footer>
  );
}

function pageStatus({ catalog, writing, desk }: App): Status {
  if (catalog.connection.value === "offline") {
    return { tone: "error", text: catalog.problem.value ?? "", remedy: { kind: "try-again" } };
  }
  if (desk.problem.value !== null) return { tone: "error", text: desk.problem.value, remedy: null };
  if (catalog.connection.value === "connecting") {
    return { tone: "waiting", text: "Looking for the server…", remedy: null };
  }
  const settings = writing.settings.value;
  if (repeatsItself(writing)) {
    return { tone: "quiet", text: "The same text as before: nothing here is left to chance.", remedy: null };
  }
  const names = catalog.strategyOf(settings)?.parameters.map(({ name }) => name) ?? [];
  return statusOf(writing.shownReport.value, catalog.modelOf(settings), names);
}

function repeatsItself({ tree, shownReport }: App["writing"]): boolean {
  return shownReport.value.phase === "finished" && hasTwin(tree.value, tree.value.current);
}

function mend({ catalog, writing, screen }: App, remedy: Remedy): void {
  if (remedy.kind === "limits") {
    screen.dialog.value = "account";
    return;
  }
  writing.settings.value = remedied(writing.settings.value, remedy);
  if (catalog.connection.value === "offline") catalog.connect();
  else if (remedy.kind === "adjust") writing.again();
  else if (remedy.kind !== "reset") writing.generate();
}
