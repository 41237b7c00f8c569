/** Recent drafts: open one, or forget it. */

import type { JSX } from "preact";
import { useEffect } from "preact/hooks";
import { useApp } from "../app";
import type { DraftTitle } from "../storage/draft";
import { Dialog } from "./Dialog";
import { Icon } from "./Icon";
import { whenLabel } from "./when";

export function Drafts(): JSX.Element {
  const { desk, screen } = useApp();
  useEffect(() => void desk.refreshRecent(), []);

  function startNew(): void {
    screen.dialog.value = null;
    void desk.startNew();
  }

  return (
    <Dialog label="Drafts" class="drafts">
      <button type="button" class="button outlined" onClick={startNew}>
        <Icon name="plus" /> New draft
      </button>
      <ul>
        {desk.recent.value.map((draft) => (
          <Entry key={draft.id} draft={draft} />
        ))}
      </ul>
      <p class="quiet">Drafts are kept in this browser and nowhere else.</p>
    </Dialog>
  );
}

function Entry({ draft }: { readonly draft: DraftTitle }): JSX.Element {
  const { desk, screen } = useApp();
  const isOpen = draft.id === desk.draftId.value;

  function open(): void {
    screen.dialog.value = null;
    if (!isOpen) void desk.open(draft.id);
  }

  return (
    <li>
      <button type="button" class="draft" aria-current={isOpen} onClick={open}>
        <span class="draft-title">{draft.title}</span>
        <span class="quiet">{isOpen ? "open here" : whenLabel(draft.updated)}</span>
      </button>
      <button
        type="button"
        class="button plain"
        aria-label={`Forget “${draft.title}”`}
        title="Forget this draft for good"
        onClick={() => void desk.forget(draft.id)}
      >
        <Icon name="cross" />
      </button>
    </li>
  );
}
