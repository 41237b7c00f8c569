/** Drafts in IndexedDB, so that neither a reload nor a second tab loses any. Knows nothing of what a draft means. */

import { type Draft, type DraftTitle, titleOf } from "./draft";

const NAME = "penstock";
const VERSION = 1;
const DRAFTS = "drafts";
const TITLES = "titles";

export interface DraftStore {
  /** Whether what is saved outlives the page. */
  readonly isLasting: boolean;
  load(id: string): Promise<Draft | null>;
  /** The new revision, or `null` when another tab has saved this draft since `draft.revision`. */
  save(draft: Draft): Promise<number | null>;
  forget(id: string): Promise<void>;
  /** Newest first. */
  titles(): Promise<DraftTitle[]>;
}

export async function openDraftStore(factory: IDBFactory): Promise<DraftStore> {
  const database = await open(factory);

  return {
    isLasting: true,

    async load(id) {
      const drafts = database.transaction(DRAFTS).objectStore(DRAFTS);
      return ((await settled(drafts.get(id))) as Draft | undefined) ?? null;
    },

    async save(draft) {
      const transaction = database.transaction([DRAFTS, TITLES], "readwrite");
      const drafts = transaction.objectStore(DRAFTS);
      const stored = (await settled(drafts.get(draft.id))) as Draft | undefined;
      if (stored !== undefined && stored.revision !== draft.revision) return null;
      const saved = { ...draft, revision: draft.revision + 1 };
      drafts.put(saved);
      transaction.objectStore(TITLES).put(titleOf(saved));
      await committed(transaction);
      return saved.revision;
    },

    async forget(id) {
      const transaction = database.transaction([DRAFTS, TITLES], "readwrite");
      transaction.objectStore(DRAFTS).delete(id);
      transaction.objectStore(TITLES).delete(id);
      await committed(transaction);
    },

    async titles() {
      const titles = database.transaction(TITLES).objectStore(TITLES);
      const all = (await settled(titles.getAll())) as DraftTitle[];
      return all.sort((a, b) => b.updated - a.updated);
    },
  };
}

/** Stands in where the browser keeps nothing (some private windows): work lasts as long as the page. */
export function createMemoryStore(): DraftStore {
  const drafts = new Map<string, Draft>();
  return {
    isLasting: false,
    load: async (id) => drafts.get(id) ?? null,
    save: async (draft) => {
      drafts.set(draft.id, { ...draft, revision: draft.revision + 1 });
      return draft.revision + 1;
    },
    forget: async (id) => void drafts.delete(id),
    titles: async () => [...drafts.values()].map(titleOf).sort((a, b) => b.updated - a.updated),
  };
}

function open(factory: IDBFactory): Promise<IDBDatabase> {
  const request = factory.open(NAME, VERSION);
  request.onupgradeneeded = () => {
    request.result.createObjectStore(DRAFTS, { keyPath: "id" });
    request.result.createObjectStore(TITLES, { keyPath: "id" });
  };
  return settled(request);
}

function settled<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error ?? new Error("IndexedDB gave no reason."));
  });
}

function committed(transaction: IDBTransaction): Promise<void> {
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onabort = () => reject(transaction.error ?? new Error("IndexedDB gave no reason."));
  });
}
