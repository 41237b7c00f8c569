/** Everything a view can reach, put together in one typed place. */

import { createContext } from "preact";
import { useContext } from "preact/hooks";
import type { Client } from "./api/client";
import type { Account } from "./state/account";
import type { Catalog } from "./state/catalog";
import type { Comparing } from "./state/comparing";
import type { Desk } from "./state/desk";
import type { History } from "./state/history";
import type { Lens } from "./state/lens";
import type { ScreenState } from "./state/screen";
import type { UsageState } from "./state/usage";
import type { Writing } from "./state/writing";

export interface App {
  readonly client: Client;
  readonly account: Account;
  readonly catalog: Catalog;
  readonly writing: Writing;
  readonly comparing: Comparing;
  readonly desk: Desk;
  readonly history: History;
  readonly lens: Lens;
  readonly screen: ScreenState;
  readonly usage: UsageState;
}

export const AppContext = createContext<App | null>(null);

export function useApp(): App {
  const app = useContext(AppContext);
  if (app === null) throw new Error("A view was shown outside the application.");
  return app;
}
