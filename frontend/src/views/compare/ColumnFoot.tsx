/** How one column went: its end, its figures as bars, and the way of its text to Write. */

import type { JSX } from "preact";
import { useApp } from "../../app";
import type { Bar } from "../../compare/bars";
import type { Difference } from "../../compare/words";
import type { Report } from "../../generation/report";
import { count, NO_STATUS, type Status, statusOf } from "../../state/status";
import type { ComparedColumn } from "../../storage/draft";
import { Icon } from "../Icon";

interface Props {
  readonly column: ComparedColumn;
  readonly bars: readonly Bar[];
  readonly difference: Difference | null;
}

export function ColumnFoot({ column, bars, difference }: Props): JSX.Element {
  const { catalog, comparing, writing, screen } = useApp();
  const { settings, asked, report, text } = column;
  const status = columnStatus(report, statusOf(report, catalog.modelOf(settings), []));

  function sendToWrite(): void {
    const prompt = comparing.comparison.value.askedPrompt;
    writing.place(prompt + text, prompt.length, asked === null ? null : { asked, report });
    writing.settings.value = settings;
    screen.screen.value = "write";
  }

  return (
    <footer class="column-foot">
      <p class="column-status" data-tone={status.tone}>
        <span>{status.text}</span>
        {difference !== null && <span title="Words that are in the first column too, in the same order.">{sharedLabel(difference)}</span>}
      </p>
      <dl class="bars">
        {bars.map(({ name, figure, share, hover }) => (
          <div key={name} title={hover}>
            <dt>{name}</dt>
            <dd>
              <span class="bar" style={{ "--share": share ?? 0 }} />
              <span class="number">{figure}</span>
            </dd>
          </div>
        ))}
      </dl>
      <button type="button" class="button plain send" disabled={text === ""} onClick={sendToWrite}>
        <Icon name="pen" /> Send to Write
      </button>
    </footer>
  );
}

/** Columns are narrow: one or two words do where the strip has a sentence. */
function columnStatus(report: Report, status: Status): Status {
  if (report.phase === "writing") return NO_STATUS;
  if (report.phase !== "finished") return status;
  if (report.loop) return { ...status, text: `In circles from token ${report.loop.start + 1}` };
  return { ...status, text: report.finishReason === "length" ? "Reached its length" : "Came to its end" };
}

function sharedLabel({ numShared, numWords }: Difference): string {
  return numShared === 0 ? "nothing shared" : `${numShared} of ${count(numWords, "word")} shared`;
}
