/** The completion pad with its rail, strip and branches. */

import { useComputed } from "@preact/signals";
import type { JSX } from "preact";
import { useApp } from "../../app";
import { Rail } from "../rail/Rail";
import { BeamTree } from "./BeamTree";
import { Branches } from "./Branches";
import { Examples } from "./Examples";
import { Pad } from "./Pad";
import { WriteStrip } from "./WriteStrip";

export function Write(): JSX.Element {
  const { writing, screen } = useApp();
  const isEmpty = useComputed(() => writing.tree.value.text === "").value;
  return (
    <main class="write" data-branches={screen.showsBranches.value}>
      {screen.showsBranches.value && <Branches />}
      <div class="scroller" data-empty={isEmpty}>
        <Pad />
        <BeamTree />
        {isEmpty && <Examples />}
      </div>
      <Rail />
      <WriteStrip />
    </main>
  );
}
