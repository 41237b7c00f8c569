/** The server's routes about accounts as functions. The session itself is a cookie that no script sees. */

import type { ApiKey, Me, NewAccount, NewApiKey, Scope, Session } from "../wire";
import { request } from "./client";
import { RequestFailed } from "./failure";

export interface AccountsApi {
  session(): Promise<Session>;
  signIn(username: string, password: string): Promise<Me>;
  signOut(): Promise<void>;
  /** The state is `pending` where an administrator must approve. */
  register(account: NewAccount): Promise<{ readonly state: string }>;
  createFirst(account: NewAccount): Promise<void>;
  changePassword(current: string, next: string): Promise<void>;
  keys(): Promise<readonly ApiKey[]>;
  createKey(label: string, scopes: readonly Scope[], days: number | null): Promise<NewApiKey>;
  revokeKey(id: string): Promise<void>;
}

/** A server that knows no accounts. */
const NONE: Session = { access: "off", registration: "closed", has_admin: true, user: null };

export function createAccountsApi(base: string): AccountsApi {
  async function json<T>(path: string, method = "GET", body?: unknown): Promise<T> {
    return (await (await send(path, method, body)).json()) as T;
  }

  function send(path: string, method: string, body?: unknown): Promise<Response> {
    if (body === undefined) return request(base, path, { method });
    const headers = { "content-type": "application/json" };
    return request(base, path, { method, headers, body: JSON.stringify(body) });
  }

  return {
    session: () => json<Session>("/session").catch(unlessUnknown),
    signIn: (username, password) => json<Me>("/session", "POST", { username, password }),
    signOut: async () => void (await send("/session", "DELETE")),
    register: (account) => json("/register", "POST", account),
    createFirst: async (account) => void (await send("/users", "POST", { ...account, role: "admin" })),
    changePassword: async (current, next) =>
      void (await send("/users/me/password", "POST", { current_password: current, new_password: next })),
    keys: async () => (await json<{ readonly keys: readonly ApiKey[] }>("/keys")).keys,
    createKey: (label, scopes, days) => json<NewApiKey>("/keys", "POST", { label, scopes, days }),
    revokeKey: async (id) => void (await send(`/keys/${encodeURIComponent(id)}`, "DELETE")),
  };
}

function unlessUnknown(error: unknown): Session {
  if (error instanceof RequestFailed && error.failure.code === "not_found") return NONE;
  throw error;
}
