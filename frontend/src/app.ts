/** Everything a view can reach, put together in one typed place. */

import { createContext } from "preact";
import { useContext } from "preact/hooks";
import type { Client } from "./api/client";
import type { Catalog } from "./state/catalog";
import type { Comparing } from "./state/comparing";
import type { Desk } from "./state/desk";
import type { Lens } from "./state/lens";
import type { ScreenState } from "./state/screen";
import type { Writing } from "./state/writing";

export interface App {
  readonly client: Client;
  readonly catalog: Catalog;
  readonly writing: Writing;
  readonly comparing: Comparing;
  readonly desk: Desk;
  readonly lens: Lens;
  readonly screen: ScreenState;
}

export const AppContext = createContext<App | null>(null);

export function useApp(): App {
  const app = useContext(AppContext);
  if (app === null) throw new Error("A view was shown outside the application.");
  return app;
}
