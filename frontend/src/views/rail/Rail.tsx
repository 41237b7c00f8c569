/** The right rail of Write: the strategy, its controls, and what the control at hand does. */

import { useComputed } from "@preact/signals";
import type { JSX } from "preact";
import { useApp } from "../../app";
import type { Strategy } from "../../wire";
import { Icon } from "../Icon";
import { ADAPTER, AdapterControl } from "./AdapterControl";
import { NextTokens } from "./NextTokens";
import { Presets } from "./Presets";
import { StrategyPicker, StrategySettings } from "./Settings";

export function Rail(): JSX.Element {
  const { catalog, writing, screen } = useApp();
  const settings = writing.settings.value;
  const usedSeed = useComputed(() => writing.shownReport.value.seed).value;
  const strategy = catalog.strategyOf(settings);
  const change = (next: typeof settings): void => void (writing.settings.value = next);
  return (
    <>
      {screen.showsSheet.value && <div class="veil" onClick={() => (screen.showsSheet.value = false)} />}
      <aside class="rail" aria-label="Settings" data-open={screen.showsSheet.value}>
        <button
          type="button"
          class="sheet-handle"
          aria-label="Close settings"
          onClick={() => (screen.showsSheet.value = false)}
        >
          <Icon name="chevron" />
        </button>
        <div class="rail-scroll">
          <StrategyPicker settings={settings} scope="write" onChange={change} />
          <p class="strategy-description">{strategy?.description}</p>
          <AdapterControl settings={settings} scope="write" onChange={change} />
          <Presets settings={settings} onChange={change} />
          <StrategySettings settings={settings} scope="write" usedSeed={usedSeed} onChange={change}>
            <NextTokens />
          </StrategySettings>
        </div>
        {strategy && <Explanation strategy={strategy} />}
      </aside>
    </>
  );
}

/** One quiet place for what each control is and does, instead of bubbles that cover the text. */
function Explanation({ strategy }: { readonly strategy: Strategy }): JSX.Element {
  const { screen } = useApp();
  const parameter = [ADAPTER, ...strategy.parameters].find(({ name }) => name === screen.explained.value);
  return (
    <div class="explanation" aria-hidden="true">
      {parameter === undefined ? (
        <p class="quiet">Point at a control to see what it does.</p>
      ) : (
        <>
          <p class="explanation-name">
            {parameter.label} <code>{parameter.name}</code>
          </p>
          <p>{parameter.description}</p>
          {parameter.effect && <p class="explanation-effect">↑ {parameter.effect}</p>}
        </>
      )}
    </div>
  );
}
