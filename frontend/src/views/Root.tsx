/** The frame: top bar, one screen, and what may lie above it. */

import type { JSX } from "preact";
import { useEffect } from "preact/hooks";
import { useApp } from "../app";
import { commandsOf, type Keys, matches } from "../commands";
import { AccountDialog } from "./accounts/AccountDialog";
import { DoorScreen } from "./accounts/Door";
import { Announcer } from "./Announcer";
import { CodeDialog } from "./CodeDialog";
import { Compare } from "./compare/Compare";
import { Drafts } from "./Drafts";
import { History } from "./history/History";
import { Palette } from "./Palette";
import { Shortcuts } from "./Shortcuts";
import { TopBar } from "./TopBar";
import { Write } from "./write/Write";

const SCREENS = { write: Write, compare: Compare, history: History } as const;
const DIALOGS = { palette: Palette, code: CodeDialog, shortcuts: Shortcuts, drafts: Drafts, account: AccountDialog } as const;

export function Root(): JSX.Element {
  const app = useApp();
  const Screen = SCREENS[app.screen.screen.value];
  const dialog = app.screen.dialog.value;
  const Dialog = dialog === null ? null : DIALOGS[dialog];

  useEffect(() => {
    const onKeyDown = (event: KeyboardEvent): void => {
      if (event.isComposing || app.screen.dialog.value !== null || app.account.door.value !== null) return;
      const command = commandsOf(app).find(
        ({ keys, isEnabled }) => isEnabled && keys && matches(keys, event) && isMeantFor(keys, event.target),
      );
      if (command === undefined) return;
      event.preventDefault();
      command.run();
    };
    document.addEventListener("keydown", onKeyDown);
    return () => document.removeEventListener("keydown", onKeyDown);
  }, []);

  if (app.account.door.value !== null) return <DoorScreen />;
  return (
    <>
      <TopBar />
      <Screen />
      {Dialog && <Dialog />}
      <Announcer />
    </>
  );
}

function isMeantFor(keys: Keys, target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return true;
  const isField = target.matches("input[type=text], input[type=search]");
  if (keys.outsideFields && isField) return false;
  return !(keys.outsideText && (isField || target.matches("textarea, select")));
}
