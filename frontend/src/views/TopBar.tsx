/** Where one is, which model writes, and how the page looks. */

import type { JSX } from "preact";
import { useApp } from "../app";
import { SCREEN_NAMES, SCREENS, type Theme, THEMES } from "../state/screen";
import { Icon, type IconName } from "./Icon";
import { isApple } from "./keys";
import { ModelPicker } from "./ModelPicker";

const THEME_ICONS: Readonly<Record<Theme, IconName>> = { auto: "auto", light: "sun", dark: "moon" };

export function TopBar(): JSX.Element {
  const { screen, account } = useApp();
  const session = account.session.value;
  const user = session?.user?.username;
  const theme = screen.theme.value;
  const nextTheme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length] ?? "auto";
  return (
    <header class="top">
      <a class="brand" href="#/write" aria-label="Penstock">
        <Icon name="mark" />
        <span>Penstock</span>
      </a>
      <nav aria-label="Screens">
        {SCREENS.map((name) => (
          <a key={name} href={`#/${name}`} aria-current={screen.screen.value === name ? "page" : undefined}>
            {SCREEN_NAMES[name]}
          </a>
        ))}
      </nav>
      <span class="spring" />
      {screen.screen.value === "write" && <ModelPicker />}
      <IconButton icon="page" label="Drafts" onPress={() => (screen.dialog.value = "drafts")} />
      {session !== null && session.access !== "off" && (
        <IconButton
          icon="person"
          label={user === undefined ? "Account" : `Account: ${user}`}
          class={user === undefined ? "" : "signed-in"}
          onPress={() => (screen.dialog.value = "account")}
        />
      )}
      <IconButton
        icon={THEME_ICONS[theme]}
        label={`Theme: ${theme}`}
        class="theme-button"
        onPress={() => (screen.theme.value = nextTheme)}
      />
      <button
        type="button"
        class="button plain palette-button"
        aria-label="Commands"
        title="Do anything from the keyboard"
        onClick={() => (screen.dialog.value = "palette")}
      >
        <kbd>{isApple() ? "⌘K" : "Ctrl K"}</kbd>
        <Icon name="menu" />
      </button>
      <button
        type="button"
        class="button plain help-button"
        aria-label="Keyboard shortcuts"
        title="Keyboard shortcuts (?)"
        onClick={() => (screen.dialog.value = "shortcuts")}
      >
        ?
      </button>
    </header>
  );
}

interface IconButtonProps {
  readonly icon: IconName;
  readonly label: string;
  readonly class?: string;
  onPress(): void;
}

function IconButton({ icon, label, onPress, ...rest }: IconButtonProps): JSX.Element {
  return (
    <button type="button" class={`button plain ${rest.class ?? ""}`} aria-label={label} title={label} onClick={onPress}>
      <Icon name={icon} />
    </button>
  );
}
