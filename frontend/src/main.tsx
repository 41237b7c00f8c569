/** Puts the parts together and shows them. */

import { render } from "preact";
import "./styles/page.css";
import { apiBase } from "./api/base";
import { createClient } from "./api/client";
import { type App, AppContext } from "./app";
import { createCatalog } from "./state/catalog";
import { createComparing } from "./state/comparing";
import { createDesk } from "./state/desk";
import { createLens } from "./state/lens";
import { createScreen } from "./state/screen";
import { type Clock, createWriting } from "./state/writing";
import { createMemoryStore, openDraftStore } from "./storage/database";
import { Root } from "./views/Root";

const clock: Clock = { now: () => performance.now(), date: () => Date.now() };

async function main(): Promise<void> {
  const meta = document.querySelector<HTMLMetaElement>('meta[name="penstock-api"]');
  const client = createClient(apiBase(location, meta?.content ?? null));
  const catalog = createCatalog(client);
  catalog.connect();
  const screen = createScreen(window);
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
  show({ client, catalog, writing, comparing, desk, lens: createLens(client, catalog, writing), screen });
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
