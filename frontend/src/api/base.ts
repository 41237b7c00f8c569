/** Where the API lives. Knows nothing of its routes. */

const LOCAL_SERVER = "http://127.0.0.1:8000";

export interface PageAddress {
  readonly protocol: string;
  readonly origin: string;
  readonly search: string;
}

/** `?api=` wins, then the page's `<meta>`, then the page's own origin; a page opened from a file asks this machine. */
export function apiBase(page: PageAddress, meta: string | null): string {
  const asked = new URLSearchParams(page.search).get("api") || meta;
  if (asked) return asked.replace(/\/+$/, "");
  return page.protocol === "file:" ? LOCAL_SERVER : page.origin;
}
