/** Which model writes: its name, state and size. */

import { useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { useApp } from "../app";
import type { Model } from "../wire";
import { Icon } from "./Icon";

const STATES: Readonly<Record<Model["state"], string>> = {
  available: "not loaded",
  downloading: "downloading",
  loading: "loading",
  loaded: "loaded",
  unloading: "unloading",
  failed: "failed",
};

export function ModelPicker(): JSX.Element {
  const { catalog, writing } = useApp();
  const isOpen = useSignal(false);
  const element = useRef<HTMLDivElement>(null);
  const model = catalog.modelOf(writing.settings.value);

  useEffect(() => {
    const closeOutside = (event: PointerEvent): void => {
      if (!element.current?.contains(event.target as Node)) isOpen.value = false;
    };
    document.addEventListener("pointerdown", closeOutside);
    return () => document.removeEventListener("pointerdown", closeOutside);
  }, []);

  function toggle(): void {
    isOpen.value = !isOpen.value;
    if (isOpen.value) void catalog.refreshModels();
  }

  function close(event: KeyboardEvent): void {
    if (event.key !== "Escape" || !isOpen.value) return;
    event.stopPropagation();
    isOpen.value = false;
    element.current?.querySelector("button")?.focus();
  }

  return (
    <div class="picker" ref={element} onKeyDown={close}>
      <button
        type="button"
        class="button plain"
        aria-haspopup="true"
        aria-expanded={isOpen.value}
        title="The model that writes"
        onClick={toggle}
      >
        {model && <StateDot model={model} />}
        <span class="picker-name">{model?.label ?? "No model yet"}</span>
        <Icon name="chevron" />
      </button>
      {isOpen.value && <ModelMenu chosen={model} onChoose={() => (isOpen.value = false)} />}
    </div>
  );
}

function ModelMenu({ chosen, onChoose }: { readonly chosen: Model | null; onChoose(): void }): JSX.Element {
  const { catalog, writing } = useApp();

  function choose(model: Model): void {
    writing.settings.value = { ...writing.settings.value, model: model.id };
    onChoose();
  }

  return (
    <div class="menu" role="group" aria-label="Models">
      {catalog.models.value.map((model) => (
        <button
          key={model.id}
          type="button"
          class="menu-item"
          aria-pressed={model.id === chosen?.id}
          title={model.description}
          onClick={() => choose(model)}
        >
          <StateDot model={model} />
          <span class="menu-label">{model.label}</span>
          <span class="quiet">{summaryOf(model)}</span>
          {model.error && <span class="error">{model.error}</span>}
        </button>
      ))}
    </div>
  );
}

function StateDot({ model }: { readonly model: Model }): JSX.Element {
  return <span class="state-dot" data-state={model.state} title={STATES[model.state]} />;
}

/** “19 M parameters · 38 MB · loaded” */
export function summaryOf(model: Model): string {
  return [
    model.num_parameters === null ? null : `${inThousands(model.num_parameters, ["", "k", "M", "B"])} parameters`,
    model.disk_bytes === null ? null : inThousands(model.disk_bytes, ["bytes", "kB", "MB", "GB"]),
    model.builtin ? "built in" : null,
    model.state === "available" && !model.local ? "not on this machine" : STATES[model.state],
  ]
    .filter((part) => part !== null)
    .join(" · ");
}

function inThousands(number: number, units: readonly string[]): string {
  let rest = number;
  let unit = 0;
  while (rest >= 999.5 && unit < units.length - 1) {
    rest /= 1000;
    unit += 1;
  }
  return `${rest < 9.95 && unit > 0 ? rest.toFixed(1) : Math.round(rest)} ${units[unit] ?? ""}`.trim();
}
