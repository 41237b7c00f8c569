/** A small form: fields, one button, and what went wrong. */

import { useSignal } from "@preact/signals";
import type { ComponentChildren, JSX } from "preact";

interface FormProps {
  readonly action: string;
  readonly children: ComponentChildren;
  onSend(values: Readonly<Record<string, string>>): Promise<void>;
}

export function Form({ action, children, onSend }: FormProps): JSX.Element {
  const problem = useSignal("");
  const isBusy = useSignal(false);

  async function send(form: HTMLFormElement): Promise<void> {
    if (isBusy.value) return;
    const fields = [...new FormData(form)];
    isBusy.value = true;
    problem.value = "";
    try {
      await onSend(Object.fromEntries(fields.map(([name, value]) => [name, String(value)])));
    } catch (error) {
      problem.value = error instanceof Error ? error.message : String(error);
    } finally {
      isBusy.value = false;
    }
  }

  return (
    <form
      class="form"
      onSubmit={(event) => {
        event.preventDefault();
        void send(event.currentTarget);
      }}
    >
      {children}
      <p class="error form-problem" role="alert">
        {problem.value}
      </p>
      <button type="submit" class="button primary" disabled={isBusy.value}>
        {action}
      </button>
    </form>
  );
}

interface FieldProps {
  readonly name: string;
  readonly label: string;
  readonly type?: "text" | "password";
  readonly autocomplete: string;
  readonly hint?: string;
  readonly required?: boolean;
  readonly maxLength?: number;
}

export function Field({ name, label, type = "text", hint, required = true, ...rest }: FieldProps): JSX.Element {
  const id = `field-${name}`;
  const attributes = {
    id,
    name,
    required,
    spellcheck: false,
    autocapitalize: "none",
    "aria-describedby": hint ? `${id}-hint` : undefined,
    ...rest,
  } as const;
  return (
    <div class="form-field">
      <label for={id}>{label}</label>
      {type === "password" ? <input type="password" {...attributes} /> : <input type="text" {...attributes} />}
      {hint && (
        <p id={`${id}-hint`} class="quiet">
          {hint}
        </p>
      )}
    </div>
  );
}
