/** The command palette: every command by a few letters of its name. */

import { useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { useApp } from "../app";
import { type Command, commandsOf } from "../commands";
import { Dialog } from "./Dialog";
import { keysLabel } from "./keys";

export function Palette(): JSX.Element {
  const app = useApp();
  const query = useSignal("");
  const index = useSignal(0);
  const found = commandsOf(app).filter(
    ({ id, label, isEnabled }) => isEnabled && id !== "palette" && hasLetters(label, query.value),
  );
  const active = Math.min(index.value, found.length - 1);

  function choose(command: Command | undefined): void {
    app.screen.dialog.value = null;
    command?.run();
  }

  function onKeyDown(event: KeyboardEvent): void {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step !== undefined) index.value = (active + step + found.length) % Math.max(1, found.length);
    else if (event.key === "Enter") choose(found[active]);
    else return;
    event.preventDefault();
  }

  return (
    <Dialog label="Commands" class="palette" bare>
      <input
        class="palette-query"
        type="text"
        placeholder="What shall I do?"
        role="combobox"
        aria-expanded="true"
        aria-controls="palette-list"
        aria-activedescendant={found[active] && `command-${found[active].id}`}
        aria-label="Search commands"
        autocomplete="off"
        spellcheck={false}
        onInput={(event) => {
          query.value = event.currentTarget.value;
          index.value = 0;
        }}
        onKeyDown={onKeyDown}
      />
      <ul id="palette-list" class="palette-list" role="listbox" aria-label="Commands">
        {found.map((command, position) => (
          <Entry
            key={command.id}
            command={command}
            isActive={position === active}
            onPoint={() => (index.value = position)}
            onChoose={() => choose(command)}
          />
        ))}
        {found.length === 0 && <li class="palette-none">Nothing is called that.</li>}
      </ul>
    </Dialog>
  );
}

interface EntryProps {
  readonly command: Command;
  readonly isActive: boolean;
  onPoint(): void;
  onChoose(): void;
}

function Entry({ command, isActive, onPoint, onChoose }: EntryProps): JSX.Element {
  return (
    <li
      id={`command-${command.id}`}
      role="option"
      aria-selected={isActive}
      ref={(element) => void (isActive && element?.scrollIntoView({ block: "nearest" }))}
      onPointerMove={onPoint}
      onClick={onChoose}
    >
      <span>{command.label}</span>
      {command.keys && <kbd>{keysLabel(command.keys)}</kbd>}
    </li>
  );
}

/** Every word of the query begins some word of the label, or is inside it. */
function hasLetters(label: string, query: string): boolean {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  return words.every((word) => label.toLowerCase().includes(word));
}
