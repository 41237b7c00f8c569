/** Which adapter writes on top of the model. Not there where the model has none. */

import type { JSX } from "preact";
import { useApp } from "../../app";
import type { Settings } from "../../storage/draft";
import type { Parameter } from "../../wire";
import { ParameterControl } from "./ParameterControl";

/** It is chosen beside the strategy's parameters, and looks like one. */
export const ADAPTER: Parameter = {
  name: "adapter",
  label: "Adapter",
  type: "choice",
  default: null,
  nullable: true,
  group: "main",
  description: "A small addition that was trained on top of the model and changes how it writes.",
};

interface Props {
  readonly settings: Settings;
  readonly scope: string;
  onChange(settings: Settings): void;
}

export function AdapterControl({ settings, scope, onChange }: Props): JSX.Element | null {
  const { catalog } = useApp();
  const offered = catalog.adaptersOf(settings);
  if (offered.length === 0) return null;
  const adapter = catalog.adapterOf(settings);
  const choices = offered.map(({ name }) => ({ value: name, label: name }));
  return (
    <div class="parameters adapter">
      <ParameterControl
        parameter={{ ...ADAPTER, choices }}
        chosen={adapter === null ? {} : { adapter }}
        scope={scope}
        usedSeed={null}
        onChange={({ adapter: name }) => onChange({ ...settings, adapter: typeof name === "string" ? name : null })}
      />
    </div>
  );
}
