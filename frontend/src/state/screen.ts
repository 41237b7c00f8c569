/** Which screen, theme and panel is open. Knows nothing of what they show. */

import { effect, type Signal, signal } from "@preact/signals";

export const SCREENS = ["write", "compare", "history"] as const;
export type Screen = (typeof SCREENS)[number];
export const SCREEN_NAMES: Readonly<Record<Screen, string>> = { write: "Write", compare: "Compare", history: "History" };

export const THEMES = ["auto", "light", "dark"] as const;
export type Theme = (typeof THEMES)[number];

export type Dialog = "palette" | "code" | "shortcuts" | "drafts" | "account";

export interface ScreenState {
  readonly screen: Signal<Screen>;
  readonly theme: Signal<Theme>;
  readonly dialog: Signal<Dialog | null>;
  readonly showsBranches: Signal<boolean>;
  /** Each token is tinted by how unexpected it was, and tells what else there was. */
  readonly showsSurprise: Signal<boolean>;
  /** On a phone the controls wait below the edge. */
  readonly showsSheet: Signal<boolean>;
  /** The control that the pointer or the keyboard is at; its explanation is shown. */
  readonly explained: Signal<string | null>;
}

const THEME_KEY = "penstock.theme";

/** The theme is read from `localStorage`, not IndexedDB: it is needed before the first paint. */
export function createScreen(window: Window): ScreenState {
  const { location, localStorage, document } = window;
  const screen = signal<Screen>(screenOf(location.hash));
  const theme = signal<Theme>(oneOf(THEMES, localStorage.getItem(THEME_KEY)) ?? "auto");
  const dialog = signal<Dialog | null>(null);

  window.addEventListener("hashchange", () => {
    screen.value = screenOf(location.hash);
  });
  effect(() => {
    document.documentElement.dataset.theme = theme.value;
    localStorage.setItem(THEME_KEY, theme.value);
  });
  effect(() => {
    if (screenOf(location.hash) !== screen.value) location.hash = `/${screen.value}`;
  });

  return {
    screen,
    theme,
    dialog,
    showsBranches: signal(false),
    showsSurprise: signal(false),
    showsSheet: signal(false),
    explained: signal(null),
  };
}

function screenOf(hash: string): Screen {
  return oneOf(SCREENS, hash.replace(/^#\/?/, "")) ?? "write";
}

function oneOf<T extends string>(known: readonly T[], value: string | null): T | null {
  return known.find((item) => item === value) ?? null;
}
