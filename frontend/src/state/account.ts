/** Who is signed in and what they may do about it. Knows no secret but a key that was just made. */

import { computed, type ReadonlySignal, signal } from "@preact/signals";
import type { AccountsApi } from "../api/accounts";
import type { ApiKey, NewAccount, NewApiKey, Scope, Session } from "../wire";

/** What the page asks for before it shows anything else. */
export type Door = "sign-in" | "change-password" | null;

export interface Account {
  readonly session: ReadonlySignal<Session | null>;
  readonly door: ReadonlySignal<Door>;
  readonly keys: ReadonlySignal<readonly ApiKey[]>;
  /** Shown once, until it is put away. */
  readonly newKey: ReadonlySignal<NewApiKey | null>;
  load(): Promise<void>;
  signIn(username: string, password: string): Promise<void>;
  signOut(): Promise<void>;
  /** Whether the account can be used at once. */
  register(account: NewAccount): Promise<boolean>;
  createFirst(account: NewAccount): Promise<void>;
  changePassword(current: string, next: string): Promise<void>;
  loadKeys(): Promise<void>;
  createKey(label: string, scopes: readonly Scope[], days: number | null): Promise<void>;
  putKeyAway(): void;
  revokeKey(id: string): Promise<void>;
}

/** `onChange` hears when somebody else is signed in than before. */
export function createAccount(api: AccountsApi, onChange: () => void): Account {
  const session = signal<Session | null>(null);
  const keys = signal<readonly ApiKey[]>([]);
  const newKey = signal<NewApiKey | null>(null);
  const door = computed<Door>(() => doorOf(session.value));

  async function load(): Promise<void> {
    session.value = await api.session();
  }

  async function changed(): Promise<void> {
    keys.value = [];
    newKey.value = null;
    await load();
    onChange();
  }

  async function signIn(username: string, password: string): Promise<void> {
    await api.signIn(username, password);
    await changed();
  }

  return {
    session,
    door,
    keys,
    newKey,
    load,
    signIn,
    async signOut() {
      await api.signOut();
      await changed();
    },
    async register(account) {
      const { state } = await api.register(account);
      if (state !== "active") return false;
      await signIn(account.username, account.password);
      return true;
    },
    async createFirst(account) {
      await api.createFirst(account);
      await signIn(account.username, account.password);
    },
    async changePassword(current, next) {
      await api.changePassword(current, next);
      await changed();
    },
    async loadKeys() {
      keys.value = await api.keys();
    },
    async createKey(label, scopes, days) {
      newKey.value = await api.createKey(label, scopes, days);
      keys.value = await api.keys();
    },
    putKeyAway: () => void (newKey.value = null),
    async revokeKey(id) {
      await api.revokeKey(id);
      if (newKey.value?.id === id) newKey.value = null;
      keys.value = await api.keys();
    },
  };
}

function doorOf(session: Session | null): Door {
  if (session?.user?.must_change_password) return "change-password";
  return session?.access === "required" && session.user === null ? "sign-in" : null;
}
