/** Puts the parts together and shows them. */

import { render } from "preact";
import "./styles/page.css";
import { createAccountsApi } from "./api/accounts";
import { apiBase } from "./api/base";
import { createClient } from "./api/client";
import { createHistoryApi } from "./api/history";
import { createUsageApi } from "./api/usage";
import { type App, AppContext } from "./app";
import { createAccount } from "./state/account";
import { createCatalog } from "./state/catalog";
import { createComparing } from "./state/comparing";
import { createDesk } from "./state/desk";
import { createHistory } from "./state/history";
import { createLens } from "./state/lens";
import { createScreen } from "./state/screen";
import { createUsage } from "./state/usage";
import { type Clock, createWriting } from "./state/writing";
import { createMemoryStore, openDraftStore } from "./storage/database";
import { Root } from "./views/Root";

const clock: Clock = { now: () => performance.now(), date: () => Date.now() };

async function main(): Promise<void> {
  const meta = document.querySelector<HTMLMetaElement>('meta[name="penstock-api"]');
  const base = apiBase(location, meta?.content ?? null);
  const seeWhoIsIn = (): void => void account.load().catch(() => undefined); // the catalog tells what is wrong
  const client = createClient(base, seeWhoIsIn);
  const catalog = createCatalog(client);
  const account = createAccount(createAccountsApi(base), catalog.connect);
  catalog.connect();
  seeWhoIsIn();
  const screen = createScreen(window);
  const history = createHistory(createHistoryApi(base));
  const usage = createUsage(createUsageApi(base));
  const writing = createWriting(client, catalog, clock);
  const comparing = createComparing(client, catalog, clock);
  const store = await openDraftStore(indexedDB).catch(() => createMemoryStore());
  const desk = createDesk(writing, comparing, {
    store,
    tab: sessionStorage,
    shared: localStorage,
    date: clock.date,
  });
  await desk.openLast();
  window.addEventListener("pagehide", desk.leave);
  const lens = createLens(client, catalog, writing);
  show({ client, account, catalog, writing, comparing, desk, history, lens, screen, usage });
}

function show(app: App): void {
  const root = document.getElementById("app");
  if (root === null) throw new Error("The page has no place for the application.");
  render(
    <AppContext.Provider value={app}>
      <Root />
    </AppContext.Provider>,
    root,
  );
}

void main();
