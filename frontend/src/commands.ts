/** Everything the page can be told to do, once: buttons, shortcuts and the palette all read this list. */

import type { App } from "./app";
import { seamOf } from "./state/writing";
import { SEED, without } from "./parameters/values";
import { SCREEN_NAMES, SCREENS, THEMES } from "./state/screen";

export interface Keys {
  /** `KeyboardEvent.key`, or with `alt` its `code`, which Option on a Mac leaves alone. */
  readonly key: string;
  readonly mod?: boolean;
  readonly shift?: boolean;
  readonly alt?: boolean;
  /** Typed letters mean this only where nothing can be typed. */
  readonly outsideText?: boolean;
  /** In a small field these keys belong to the field. */
  readonly outsideFields?: boolean;
}

export interface Command {
  readonly id: string;
  readonly label: string;
  readonly group: "Write" | "Compare" | "Draft" | "View" | "Strategy" | "Model" | "Open";
  readonly keys?: Keys;
  readonly isEnabled: boolean;
  run(): void;
}

export function commandsOf(app: App): Command[] {
  switch (app.screen.screen.value) {
    case "write":
      return [...writeCommands(app), ...draftCommands(app), ...viewCommands(app), ...choiceCommands(app)];
    case "compare":
      return [...compareCommands(app), ...draftCommands(app), ...viewCommands(app)];
    case "history":
      return [...historyCommands(app), ...viewCommands(app)];
  }
}

export function matches(keys: Keys, event: KeyboardEvent): boolean {
  const mod = event.ctrlKey || event.metaKey;
  if (mod !== (keys.mod ?? false) || event.altKey !== (keys.alt ?? false)) return false;
  if (keys.shift !== undefined && event.shiftKey !== keys.shift) return false;
  return keys.alt ? event.code === keys.key : event.key.toLowerCase() === keys.key.toLowerCase();
}

function writeCommands({ writing, screen }: App): Command[] {
  const tree = writing.tree.value;
  const node = tree.nodes[tree.current];
  const command = (rest: Omit<Command, "group">): Command => ({ group: "Write", ...rest });
  return [
    command({
      id: "generate",
      label: "Generate",
      keys: { key: "Enter", mod: true, shift: false },
      isEnabled: writing.canGenerate.value,
      run: writing.generate,
    }),
    command({
      id: "stop",
      label: "Stop",
      keys: { key: "Escape" },
      isEnabled: writing.isRunning.value,
      run: writing.stop,
    }),
    command({
      id: "again",
      label: "Again, with a new seed",
      keys: { key: "Enter", mod: true, shift: true },
      isEnabled: writing.canRepeat.value,
      run: writing.again,
    }),
    command({
      id: "undo",
      label: "Undo",
      keys: { key: "z", mod: true, shift: false, outsideFields: true },
      isEnabled: node?.parent !== null,
      run: writing.undo,
    }),
    command({
      id: "redo",
      label: "Redo",
      keys: { key: "z", mod: true, shift: true, outsideFields: true },
      isEnabled: node?.next !== null,
      run: writing.redo,
    }),
    command({
      id: "branches",
      label: "Branches",
      keys: { key: "KeyB", alt: true },
      isEnabled: true,
      run: () => (screen.showsBranches.value = !screen.showsBranches.value),
    }),
    command({
      id: "surprise",
      label: "Show how likely each token was",
      keys: { key: "KeyH", alt: true },
      isEnabled: true,
      run: () => (screen.showsSurprise.value = !screen.showsSurprise.value),
    }),
    command({
      id: "code",
      label: "Get code",
      keys: { key: "KeyC", alt: true },
      isEnabled: tree.text !== "",
      run: () => (screen.dialog.value = "code"),
    }),
    command({
      id: "keep-seed",
      label: "Keep the seed of this text",
      isEnabled: writing.shownReport.value.seed !== null,
      run: () => keepSeed(writing),
    }),
    command({
      id: "reset",
      label: "Reset all settings of the strategy",
      isEnabled: Object.keys(writing.settings.value.chosen).length > 0,
      run: () => (writing.settings.value = { ...writing.settings.value, chosen: {} }),
    }),
    command({
      id: "seam-to-end",
      label: "Make all of the text the prompt",
      isEnabled: seamOf(tree) < tree.text.length,
      run: () => writing.moveSeam(tree.text.length),
    }),
  ];
}

function compareCommands({ comparing, screen }: App): Command[] {
  const command = (rest: Omit<Command, "group">): Command => ({ group: "Compare", ...rest });
  return [
    command({
      id: "run",
      label: "Compare",
      keys: { key: "Enter", mod: true },
      isEnabled: comparing.canRun.value && !comparing.isRunning.value,
      run: comparing.run,
    }),
    command({
      id: "stop",
      label: "Stop all",
      keys: { key: "Escape" },
      isEnabled: comparing.isRunning.value,
      run: comparing.stop,
    }),
    command({ id: "add", label: "Add a column", isEnabled: true, run: comparing.add }),
    command({
      id: "code",
      label: "Get code",
      keys: { key: "KeyC", alt: true },
      isEnabled: comparing.comparison.value.prompt !== "",
      run: () => (screen.dialog.value = "code"),
    }),
  ];
}

function historyCommands({ history }: App): Command[] {
  return [
    {
      id: "reload-history",
      label: "Look for what is new",
      group: "View",
      isEnabled: !history.isLoading.value,
      run: () => void history.load(),
    },
    {
      id: "find",
      label: "Search the history",
      group: "View",
      keys: { key: "/", outsideText: true },
      isEnabled: true,
      run: () => document.querySelector<HTMLElement>(".history-search")?.focus(),
    },
  ];
}

function draftCommands({ desk, screen }: App): Command[] {
  return [
    {
      id: "new",
      label: "New draft",
      group: "Draft",
      keys: { key: "KeyN", alt: true },
      isEnabled: true,
      run: () => void desk.startNew(),
    },
    {
      id: "drafts",
      label: "Open a recent draft",
      group: "Draft",
      keys: { key: "KeyO", alt: true },
      isEnabled: true,
      run: () => (screen.dialog.value = "drafts"),
    },
  ];
}

function viewCommands({ screen, account }: App): Command[] {
  return [
    {
      id: "account",
      label: account.session.value?.user ? "Account, keys, sign out" : "Sign in",
      group: "View",
      isEnabled: (account.session.value?.access ?? "off") !== "off",
      run: () => (screen.dialog.value = "account"),
    },
    {
      id: "palette",
      label: "Do anything",
      group: "View",
      keys: { key: "k", mod: true },
      isEnabled: true,
      run: () => (screen.dialog.value = "palette"),
    },
    {
      id: "shortcuts",
      label: "Keyboard shortcuts",
      group: "View",
      keys: { key: "?", outsideText: true },
      isEnabled: true,
      run: () => (screen.dialog.value = "shortcuts"),
    },
    ...SCREENS.map((name, index): Command => ({
      id: `go-${name}`,
      label: `Go to ${SCREEN_NAMES[name]}`,
      group: "View",
      keys: { key: `Digit${index + 1}`, alt: true },
      isEnabled: screen.screen.value !== name,
      run: () => (screen.screen.value = name),
    })),
    ...THEMES.map((name): Command => ({
      id: `theme-${name}`,
      label: { auto: "Theme: as the system", light: "Theme: light", dark: "Theme: dark" }[name],
      group: "View",
      isEnabled: screen.theme.value !== name,
      run: () => (screen.theme.value = name),
    })),
  ];
}

function choiceCommands({ writing, catalog }: App): Command[] {
  const settings = writing.settings.value;
  const strategies = catalog.strategies.value.map(({ id, label }): Command => ({
    id: `strategy-${id}`,
    label: `Strategy: ${label}`,
    group: "Strategy",
    isEnabled: catalog.strategyOf(settings)?.id !== id,
    run: () => (writing.settings.value = { ...writing.settings.value, strategy: id }),
  }));
  const models = catalog.models.value.map(({ id, label }): Command => ({
    id: `model-${id}`,
    label: `Model: ${label}`,
    group: "Model",
    isEnabled: catalog.modelOf(settings)?.id !== id,
    run: () => (writing.settings.value = { ...writing.settings.value, model: id }),
  }));
  const offered = catalog.adaptersOf(settings).map(({ name }) => name);
  const adapters = (offered.length === 0 ? [] : [null, ...offered]).map((name): Command => ({
    id: `adapter-${name ?? ""}`,
    label: name === null ? "Adapter: none" : `Adapter: ${name}`,
    group: "Model",
    isEnabled: catalog.adapterOf(settings) !== name,
    run: () => (writing.settings.value = { ...writing.settings.value, adapter: name }),
  }));
  return [...strategies, ...models, ...adapters];
}

function keepSeed(writing: App["writing"]): void {
  const { seed } = writing.shownReport.value;
  const { settings } = writing;
  const chosen = without(settings.value.chosen, SEED);
  settings.value = { ...settings.value, chosen: seed === null ? chosen : { ...chosen, [SEED]: seed } };
}
