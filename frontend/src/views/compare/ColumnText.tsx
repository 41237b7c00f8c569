/** What one column wrote; once finished, with the words marked that the first column does not have. */

import type { JSX } from "preact";
import type { Difference, Stretch } from "../../compare/words";

interface Props {
  readonly text: string;
  readonly difference: Difference | null;
}

export function ColumnText({ text, difference }: Props): JSX.Element {
  return (
    <div class="column-text" tabIndex={0}>
      {difference === null
        ? withoutFirstSpace(text)
        : difference.stretches.map((stretch, index) => <Run key={index} stretch={stretch} isFirst={index === 0} />)}
    </div>
  );
}

function Run({ stretch, isFirst }: { readonly stretch: Stretch; readonly isFirst: boolean }): JSX.Element {
  const text = isFirst ? withoutFirstSpace(stretch.text) : stretch.text;
  if (!stretch.differs) return <span>{text}</span>;
  const words = text.trimStart();
  return (
    <>
      {text.slice(0, text.length - words.length)}
      <mark>{words}</mark>
    </>
  );
}

/** The space between prompt and continuation; it has no meaning at the top of a column. */
function withoutFirstSpace(text: string): string {
  return text.startsWith(" ") ? text.slice(1) : text;
}
