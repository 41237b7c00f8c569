/** A button for one command: its icon, its words, and its keys on hover. */

import type { JSX } from "preact";
import type { Command } from "../commands";
import { Icon, type IconName } from "./Icon";
import { keysLabel } from "./keys";

interface Props {
  readonly command: Command | undefined;
  readonly icon: IconName;
  readonly label: string;
  readonly kind?: "primary" | "plain";
  readonly pressed?: boolean;
}

export function CommandButton({ command, icon, label, kind = "plain", pressed }: Props): JSX.Element | null {
  if (command === undefined) return null;
  const keys = command.keys ? ` (${keysLabel(command.keys)})` : "";
  return (
    <button
      type="button"
      class={`button ${kind}`}
      data-command={command.id}
      disabled={!command.isEnabled}
      aria-label={label}
      aria-pressed={pressed}
      title={command.label + keys}
      onClick={command.run}
    >
      <Icon name={icon} />
      <span class="button-label">{label}</span>
      {kind === "primary" && command.keys && <kbd aria-hidden="true">{keysLabel(command.keys)}</kbd>}
    </button>
  );
}
