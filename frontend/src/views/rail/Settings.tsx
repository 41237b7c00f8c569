/** The controls of one strategy, built from the catalog alone. */

import type { ComponentChildren, JSX } from "preact";
import { useApp } from "../../app";
import { isDefault } from "../../parameters/values";
import type { Settings as ChosenSettings } from "../../storage/draft";
import type { Parameter, Strategy, Values } from "../../wire";
import { ParameterControl } from "./ParameterControl";

interface Props {
  readonly settings: ChosenSettings;
  readonly scope: string;
  readonly usedSeed: number | null;
  onChange(settings: ChosenSettings): void;
  /** Shown under the main parameters. */
  readonly children?: ComponentChildren;
}

export function StrategyPicker({ settings, scope, onChange }: Omit<Props, "usedSeed" | "children">): JSX.Element {
  const { catalog } = useApp();
  const strategy = catalog.strategyOf(settings);
  return (
    <div class="strategy-picker">
      <span class="strategy-dot" style={{ background: strategy?.color ?? "transparent" }} aria-hidden="true" />
      <select
        id={`${scope}-strategy`}
        aria-label="Strategy"
        value={strategy?.id ?? ""}
        onChange={(event) => onChange({ ...settings, strategy: event.currentTarget.value })}
      >
        {catalog.strategies.value.map(({ id, label }) => (
          <option key={id} value={id}>
            {label}
          </option>
        ))}
      </select>
    </div>
  );
}

export function StrategySettings({ settings, scope, usedSeed, onChange, children }: Props): JSX.Element | null {
  const { catalog } = useApp();
  const strategy = catalog.strategyOf(settings);
  if (strategy === null) return null;
  const { chosen } = settings;
  const change = (values: Values): void => onChange({ ...settings, chosen: values });
  const show = (parameter: Parameter): JSX.Element => (
    <ParameterControl
      key={parameter.name}
      parameter={parameter}
      chosen={chosen}
      scope={scope}
      usedSeed={usedSeed}
      onChange={change}
    />
  );
  return (
    <>
      <div class="parameters">{inGroup(strategy, "main").map(show)}</div>
      {children}
      <details class="more">
        <summary>
          More
          <ChangedCount parameters={inGroup(strategy, "more")} chosen={chosen} />
        </summary>
        <div class="parameters">{inGroup(strategy, "more").map(show)}</div>
      </details>
      <Advanced parameters={inGroup(strategy, "advanced")} chosen={chosen} show={show} />
    </>
  );
}

interface AdvancedProps {
  readonly parameters: readonly Parameter[];
  readonly chosen: Values;
  show(parameter: Parameter): JSX.Element;
}

/** What few people need, under the headings that the catalog gives. */
function Advanced({ parameters, chosen, show }: AdvancedProps): JSX.Element | null {
  if (parameters.length === 0) return null;
  const sections = [...new Set(parameters.map(({ section }) => section ?? ""))];
  return (
    <details class="more">
      <summary>
        Advanced
        <ChangedCount parameters={parameters} chosen={chosen} />
      </summary>
      {sections.map((section) => (
        <div key={section} class="parameters" role="group" aria-label={section}>
          <p class="section-name">{section}</p>
          {parameters.filter((parameter) => (parameter.section ?? "") === section).map(show)}
        </div>
      ))}
    </details>
  );
}

function ChangedCount({ parameters, chosen }: { parameters: readonly Parameter[]; chosen: Values }): JSX.Element | null {
  const changed = parameters.filter((parameter) => !isDefault(parameter, chosen));
  if (changed.length === 0) return null;
  return (
    <span class="changed-count" title={changed.map(({ label }) => label).join(", ")}>
      {changed.length} changed
    </span>
  );
}

function inGroup(strategy: Strategy, group: Parameter["group"]): Parameter[] {
  return strategy.parameters.filter((parameter) => parameter.group === group);
}
