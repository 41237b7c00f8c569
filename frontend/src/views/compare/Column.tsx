/** One column of a comparison: who writes, what they wrote, and how it went. */

import type { JSX } from "preact";
import { useMemo } from "preact/hooks";
import { useApp } from "../../app";
import type { Bar } from "../../compare/bars";
import { differingWords } from "../../compare/words";
import { isRunning } from "../../generation/report";
import { numChanged } from "../../parameters/values";
import { MAX_COLUMNS, MIN_COLUMNS } from "../../state/comparing";
import type { ComparedColumn, Settings } from "../../storage/draft";
import { Icon, type IconName } from "../Icon";
import { StrategyPicker, StrategySettings } from "../rail/Settings";
import { ColumnFoot } from "./ColumnFoot";
import { ColumnText } from "./ColumnText";

interface Props {
  readonly column: ComparedColumn;
  readonly bars: readonly Bar[];
  /** Shown instead of the names while they are hidden. */
  readonly letter: string | null;
  /** The text that this one's differences are marked against. */
  readonly reference: string | null;
}

export function Column({ column, bars, letter, reference }: Props): JSX.Element {
  const { catalog } = useApp();
  const strategy = catalog.strategyOf(column.settings);
  const isHidden = letter !== null;
  const { text, report } = column;
  const against = isRunning(report) || text === "" ? null : reference;
  const difference = useMemo(() => (against === null ? null : differingWords(text, against)), [text, against]);
  return (
    <section
      class="column"
      aria-label={isHidden ? `Column ${letter}` : strategy?.label}
      style={{ "--strategy": isHidden ? "var(--rule)" : strategy?.color }}
    >
      {isHidden ? <h2 class="column-letter">{letter}</h2> : <ColumnHead column={column} />}
      <ColumnText text={text} difference={difference} />
      <ColumnFoot column={column} bars={isHidden ? [] : bars} difference={difference} />
    </section>
  );
}

function ColumnHead({ column }: { readonly column: ComparedColumn }): JSX.Element {
  const { catalog, comparing } = useApp();
  const { id, settings } = column;
  const strategy = catalog.strategyOf(settings);
  const changed = strategy === null ? 0 : numChanged(strategy, settings.chosen);
  const change = (next: Settings): void => comparing.configure(id, next);
  return (
    <header class="column-head">
      <div class="column-names">
        <StrategyPicker settings={settings} scope={`column-${id}`} onChange={change} />
        <ColumnButtons id={id} />
      </div>
      <ModelSelect settings={settings} onChange={change} />
      <AdapterSelect settings={settings} onChange={change} />
      <details class="column-settings">
        <summary>
          Settings {changed > 0 && <span class="changed-count">{changed} changed</span>}
        </summary>
        <StrategySettings settings={settings} scope={`column-${id}`} usedSeed={column.report.seed} onChange={change} />
      </details>
    </header>
  );
}

function ColumnButtons({ id }: { readonly id: number }): JSX.Element {
  const { comparing } = useApp();
  const count = comparing.comparison.value.columns.length;
  const button = (icon: IconName, label: string, isEnabled: boolean, run: () => void): JSX.Element => (
    <button type="button" class="button plain" aria-label={label} title={label} disabled={!isEnabled} onClick={run}>
      <Icon name={icon} />
    </button>
  );
  return (
    <>
      {button("copy", "Duplicate this column", count < MAX_COLUMNS, () => comparing.duplicate(id))}
      {button("cross", "Remove this column", count > MIN_COLUMNS, () => comparing.remove(id))}
    </>
  );
}

function ModelSelect({ settings, onChange }: { settings: Settings; onChange(settings: Settings): void }): JSX.Element {
  const { catalog } = useApp();
  return (
    <select
      class="model-select"
      aria-label="Model"
      value={catalog.modelOf(settings)?.id ?? ""}
      onChange={(event) => onChange({ ...settings, model: event.currentTarget.value })}
    >
      {catalog.models.value.map(({ id, label, local }) => (
        <option key={id} value={id}>
          {local ? label : `${label} (not on this machine)`}
        </option>
      ))}
    </select>
  );
}

/** Not there where the model has no adapters. */
function AdapterSelect({ settings, onChange }: { settings: Settings; onChange(settings: Settings): void }): JSX.Element | null {
  const { catalog } = useApp();
  const offered = catalog.adaptersOf(settings);
  if (offered.length === 0) return null;
  return (
    <select
      class="model-select"
      aria-label="Adapter"
      value={catalog.adapterOf(settings) ?? ""}
      onChange={(event) => onChange({ ...settings, adapter: event.currentTarget.value || null })}
    >
      <option value="">no adapter</option>
      {offered.map(({ name }) => (
        <option key={name} value={name}>
          {name}
        </option>
      ))}
    </select>
  );
}
