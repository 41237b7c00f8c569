/** The server's routes about what was generated, as functions. */

import type { HistoryPage } from "../wire";
import { request } from "./client";

export interface HistoryApi {
  /** Where all of it is to be had, as a file. */
  readonly exportUrl: string;
  /** The newest first, those after the one named; with words, only what has all of them. */
  page(words: string, after: string | null): Promise<HistoryPage>;
  remove(id: string): Promise<void>;
  removeAll(): Promise<void>;
}

const PAGE_SIZE = "20";

export function createHistoryApi(base: string): HistoryApi {
  return {
    exportUrl: `${base}/history/export`,
    async page(words, after) {
      const query = new URLSearchParams({ limit: PAGE_SIZE, ...(words && { q: words }), ...(after && { after }) });
      const answer = await request(base, `/history${words && "/search"}?${query}`, {});
      return (await answer.json()) as HistoryPage;
    },
    remove: async (id) => void (await request(base, `/history/${encodeURIComponent(id)}`, { method: "DELETE" })),
    removeAll: async () => void (await request(base, "/history", { method: "DELETE" })),
  };
}
