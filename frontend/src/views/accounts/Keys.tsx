/** Keys for programs: make one, copy it while it is shown, revoke it. */

import { useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { useApp } from "../../app";
import type { ApiKey, NewApiKey, Scope } from "../../wire";
import { copyText } from "../clipboard";
import { Icon } from "../Icon";
import { Field, Form } from "./Form";

const LIFETIMES: readonly (readonly [string, string])[] = [
  ["30", "30 days"],
  ["90", "90 days"],
  ["365", "a year"],
  ["", "until it is revoked"],
];
const USUAL: readonly Scope[] = ["generate", "files"];
const COPIED_MS = 1500;

export function Keys(): JSX.Element {
  const { account } = useApp();
  useEffect(() => void account.loadKeys().catch(() => account.load()), []);
  const made = account.newKey.value;
  const keys = account.keys.value;
  return (
    <section class="keys" aria-label="Keys">
      <h3>Keys for programs</h3>
      {made !== null ? <FreshKey key={made.id} made={made} /> : <NewKeyForm />}
      {keys.length > 0 && (
        <ul>
          {keys.map((key) => (
            <Entry key={key.id} entry={key} />
          ))}
        </ul>
      )}
    </section>
  );
}

function NewKeyForm(): JSX.Element {
  const { account } = useApp();
  return (
    <Form
      action="Create a key"
      onSend={({ label = "", days = "" }) => account.createKey(label, USUAL, days === "" ? null : Number(days))}
    >
      <Field name="label" label="What it is for" autocomplete="off" required={false} maxLength={100} />
      <div class="form-field">
        <label for="field-days">Good for</label>
        <select id="field-days" name="days" defaultValue="90">
          {LIFETIMES.map(([value, text]) => (
            <option key={value} value={value} selected={value === "90"}>
              {text}
            </option>
          ))}
        </select>
      </div>
    </Form>
  );
}

function FreshKey({ made }: { readonly made: NewApiKey }): JSX.Element {
  const { account } = useApp();
  const shown = useRef<HTMLElement>(null);
  const isCopied = useSignal(false);

  async function copy(): Promise<void> {
    if (shown.current === null) return;
    isCopied.value = await copyText(made.key, shown.current);
    setTimeout(() => (isCopied.value = false), COPIED_MS);
  }

  return (
    <div class="fresh-key">
      <p>Copy the key now. It is not shown again.</p>
      <code ref={shown} tabIndex={0} aria-label="The new key">
        {made.key}
      </code>
      <div class="key-actions">
        <button type="button" class="button primary" onClick={() => void copy()}>
          <Icon name="copy" />
          <span aria-live="polite">{isCopied.value ? "Copied" : "Copy"}</span>
        </button>
        <button type="button" class="button plain" onClick={account.putKeyAway}>
          I have it
        </button>
      </div>
    </div>
  );
}

function Entry({ entry }: { readonly entry: ApiKey }): JSX.Element {
  const { account } = useApp();
  const isAsking = useSignal(false);
  const name = entry.label || entry.hint;
  return (
    <li>
      <span class="key-name">
        <span>{name}</span>
        <span class="quiet">
          {entry.label && <code>{entry.hint}</code>} {usesOf(entry)}
        </span>
      </span>
      {isAsking.value ? (
        <span class="key-actions">
          <button type="button" class="button outlined danger" onClick={() => void account.revokeKey(entry.id)}>
            Revoke for good
          </button>
          <button type="button" class="button plain" onClick={() => (isAsking.value = false)}>
            Keep
          </button>
        </span>
      ) : (
        <button
          type="button"
          class="button outlined"
          aria-label={`Revoke ${name}`}
          onClick={() => (isAsking.value = true)}
        >
          Revoke
        </button>
      )}
    </li>
  );
}

function usesOf({ used_at, expires_at }: ApiKey): string {
  const used = used_at === null ? "never used" : `used ${dayOf(used_at)}`;
  return expires_at === null ? used : `${used}, good until ${dayOf(expires_at)}`;
}

function dayOf(time: string): string {
  return new Intl.DateTimeFormat("en", { dateStyle: "medium" }).format(new Date(time));
}
