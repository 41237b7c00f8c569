/** Every shortcut of this screen. */

import type { JSX } from "preact";
import { useApp } from "../app";
import { commandsOf } from "../commands";
import { Dialog } from "./Dialog";
import { keysLabel } from "./keys";

export function Shortcuts(): JSX.Element {
  const commands = commandsOf(useApp()).filter(({ keys }) => keys !== undefined);
  return (
    <Dialog label="Keyboard shortcuts" class="shortcuts">
      <dl>
        {commands.map(({ id, label, keys }) => (
          <div key={id}>
            <dt>{label}</dt>
            <dd>
              <kbd>{keys && keysLabel(keys)}</kbd>
            </dd>
          </div>
        ))}
      </dl>
      <p class="quiet">
        In the controls: arrow keys turn a slider, Page Up and Page Down turn it faster, Home and End go to its ends.
      </p>
    </Dialog>
  );
}
