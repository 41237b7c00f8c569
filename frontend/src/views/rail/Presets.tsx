/** Settings of a strategy that go well together; one press chooses them. */

import type { JSX } from "preact";
import { useSignal } from "@preact/signals";
import { useApp } from "../../app";
import { matchesPreset, withPreset } from "../../parameters/presets";
import type { Settings } from "../../storage/draft";
import type { Preset } from "../../wire";

interface Props {
  readonly settings: Settings;
  onChange(settings: Settings): void;
}

export function Presets({ settings, onChange }: Props): JSX.Element | null {
  const { catalog } = useApp();
  const pointedAt = useSignal<Preset | null>(null);
  const strategy = catalog.strategyOf(settings);
  const presets = strategy?.presets ?? [];
  if (strategy === null || presets.length === 0) return null;
  const { chosen } = settings;
  const current = presets.find((preset) => matchesPreset(strategy, chosen, preset));
  const explained = presets.find(({ id }) => id === pointedAt.value?.id) ?? current;
  const usual = { id: "", label: "Usual", description: "The strategy's own defaults.", values: {} };
  const isUsual = matchesPreset(strategy, chosen, usual);
  return (
    <div class="presets" role="group" aria-label="Presets">
      <ul>
        {[usual, ...presets].map((preset) => (
          <li key={preset.id}>
            <button
              type="button"
              class="preset"
              title={preset.description}
              aria-pressed={preset === usual ? isUsual : preset === current}
              onPointerEnter={() => (pointedAt.value = preset)}
              onPointerLeave={() => (pointedAt.value = null)}
              onFocus={() => (pointedAt.value = preset)}
              onBlur={() => (pointedAt.value = null)}
              onClick={() => onChange({ ...settings, chosen: withPreset(strategy, chosen, preset) })}
            >
              {preset.label}
            </button>
          </li>
        ))}
      </ul>
      <p>{explained?.description ?? (isUsual ? usual.description : "Your own settings.")}</p>
    </div>
  );
}
