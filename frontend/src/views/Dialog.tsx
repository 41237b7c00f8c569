/** A modal panel with a title; Escape and a click beside it close it. */

import type { ComponentChildren, JSX } from "preact";
import { useLayoutEffect, useRef } from "preact/hooks";
import { useApp } from "../app";
import { Icon } from "./Icon";

interface Props {
  readonly label: string;
  readonly class?: string;
  readonly bare?: boolean;
  readonly children: ComponentChildren;
}

export function Dialog({ label, bare = false, children, ...rest }: Props): JSX.Element {
  const { screen } = useApp();
  const element = useRef<HTMLDialogElement>(null);
  const close = (): void => void (screen.dialog.value = null);

  // Before the next key arrives: what is typed at once after opening belongs to the dialog.
  useLayoutEffect(() => {
    const dialog = element.current;
    if (dialog === null) return;
    dialog.showModal();
    if (!bare) dialog.focus(); // the whole of it is new, not just its first button
    return () => dialog.close();
  }, []);

  return (
    <dialog
      ref={element}
      tabIndex={-1}
      class={`dialog ${rest.class ?? ""}`}
      aria-label={label}
      onCancel={close}
      onClick={(event) => event.target === element.current && close()}
    >
      <div class="dialog-body">
        {!bare && (
          <header class="dialog-head">
            <h2>{label}</h2>
            <button type="button" class="button plain" aria-label="Close" onClick={close}>
              <Icon name="cross" />
            </button>
          </header>
        )}
        {children}
      </div>
    </dialog>
  );
}
