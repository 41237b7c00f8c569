/** The empty state: six beginnings that suit a small model of stories, and what that model is. */

import type { JSX } from "preact";
import { useApp } from "../../app";
import { summaryOf } from "../ModelPicker";

const BEGINNINGS: readonly { readonly kind: string; readonly text: string }[] = [
  { kind: "Fairy tale", text: "Once upon a time, there was a little boy who wanted to see the sea. One day," },
  { kind: "Animals", text: 'The fox looked at the bear and laughed. "You will never catch me," he said,' },
  { kind: "Sea", text: "The old fisherman saw a big box in the water. He pulled it out and" },
  { kind: "Children", text: "Lily had lost her red balloon. She looked under the bed, and there she found" },
  { kind: "Winter", text: "It was the coldest night of the year. The little girl knocked at the door and" },
  { kind: "Mystery", text: '"I have not told you everything," said the doctor, and he closed the window.' },
];

export function Examples(): JSX.Element {
  const { catalog, writing } = useApp();
  const model = catalog.modelOf(writing.settings.value);

  function begin(text: string): void {
    writing.place(text, text.length, null);
    document.querySelector<HTMLElement>(".field")?.focus();
    if (writing.canGenerate.value) writing.generate();
  }

  return (
    <section class="examples" aria-label="Examples">
      <ul>
        {BEGINNINGS.map(({ kind, text }) => (
          <li key={kind}>
            <button type="button" class="example" onClick={() => begin(text)}>
              <span class="example-kind">{kind}</span>
              <span class="example-text">{/\w$/.test(text) ? `${text}…` : text}</span>
            </button>
          </li>
        ))}
      </ul>
      {model && (
        <p class="quiet model-line">
          <strong>{model.label}</strong> writes here. {model.description} {summaryOf(model)}.
        </p>
      )}
    </section>
  );
}
