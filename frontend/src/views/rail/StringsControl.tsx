/** A list of strings, such as what ends a generation. Line breaks are shown and typed as `\n`. */

import type { JSX } from "preact";
import { Icon } from "../Icon";
import type { ControlProps } from "./ParameterControl";

export function StringsControl({ id, parameter, value, onValue }: ControlProps): JSX.Element {
  const strings = Array.isArray(value) ? (value as readonly string[]) : [];

  function add(field: HTMLInputElement): void {
    const text = typed(field.value);
    field.value = "";
    if (text !== "" && !strings.includes(text)) onValue([...strings, text]);
  }

  function remove(text: string): void {
    onValue(strings.filter((each) => each !== text));
  }

  return (
    <div class="strings">
      {strings.map((text) => (
        <button key={text} type="button" class="chip" title="Remove" onClick={() => remove(text)}>
          <span>{shown(text)}</span>
          <Icon name="cross" />
        </button>
      ))}
      <input
        id={id}
        type="text"
        autocomplete="off"
        spellcheck={false}
        placeholder={strings.length === 0 ? "none; type one, press ⏎" : "another"}
        aria-label={`Add to ${parameter.label}`}
        aria-describedby={`${id}-help`}
        onKeyDown={(event) => event.key === "Enter" && !event.ctrlKey && !event.metaKey && add(event.currentTarget)}
        onBlur={(event) => add(event.currentTarget)}
      />
    </div>
  );
}

function typed(text: string): string {
  return text.replaceAll("\\n", "\n").replaceAll("\\t", "\t");
}

function shown(text: string): string {
  return text.replaceAll("\n", "\\n").replaceAll("\t", "\\t");
}
