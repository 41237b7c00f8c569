/** The tree of beams while it grows: to the right, a line for each candidate, grey where it was given up. */

import { useComputed } from "@preact/signals";
import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { useApp } from "../../app";
import { layout, type Placed, textOf } from "../../generation/beams";

const STEP = 76;
const ROW = 20;
const LEFT = 12;
const LONGEST = 9;

export function BeamTree(): JSX.Element | null {
  const { writing } = useApp();
  const tree = writing.beams.value;
  const drawn = useComputed(() => layout(writing.beams.value)).value;
  const scroller = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const view = scroller.current;
    if (view === null) return;
    const end = drawn.places.findLast(({ isOnBestPath }) => isOnBestPath);
    view.scrollLeft = view.scrollWidth;
    if (end !== undefined) view.scrollTop = y(end) - view.clientHeight / 2;
  }, [drawn.depth, drawn.numRows]);
  if (tree.size === 0) return null;
  const byNode = new Map(drawn.places.map((placed) => [placed.beam.node, placed]));
  const width = LEFT + (drawn.depth + 1) * STEP;
  const height = (drawn.numRows + 1) * ROW;
  const middle = (drawn.numRows * ROW) / 2 + ROW / 2;
  return (
    <details class="beams" open>
      <summary>
        Beams <span class="quiet">what lives is dark, what was given up is grey; thick is likely</span>
      </summary>
      <div class="beams-scroll" ref={scroller} tabIndex={0} role="region" aria-label="Tree of beams">
        <svg width={width} height={height} role="img" aria-label={summary(drawn.places)}>
          {drawn.places.map((placed) => {
            const { beam } = placed;
            const parent = byNode.get(beam.parent);
            const x = LEFT + beam.depth * STEP;
            const startX = parent === undefined ? LEFT : x - STEP + tokenRoom(parent.beam.token);
            const startY = parent === undefined ? middle : y(parent);
            const bend = (startX + x) / 2;
            return (
              <g key={beam.node} data-fate={beam.fate} data-best={placed.isOnBestPath}>
                <title>{`${textOf(tree, beam)}\nscore ${beam.score.toFixed(2)}`}</title>
                <path
                  d={`M${startX} ${startY}C${bend} ${startY} ${bend} ${y(placed)} ${x - 4} ${y(placed)}`}
                  stroke-width={1 + 3 * placed.share}
                />
                <text x={x} y={y(placed)} dominant-baseline="middle">
                  {shown(beam.token)}
                </text>
              </g>
            );
          })}
        </svg>
      </div>
    </details>
  );
}

function y({ row }: Placed): number {
  return row * ROW + ROW;
}

function shown(token: string): string {
  const visible = token.replace(/\n/g, "↵").replace(/^ /, "\u00a0");
  return visible.length > LONGEST ? `${visible.slice(0, LONGEST - 1)}…` : visible;
}

/** About how wide the token is drawn. */
function tokenRoom(token: string): number {
  return Math.min(STEP - 8, 6 + 6.8 * shown(token).length);
}

function summary(places: readonly Placed[]): string {
  const count = (fate: string): number => places.filter(({ beam }) => beam.fate === fate).length;
  const numFinished = count("finished") + count("returned");
  return `${numFinished} finished texts, ${count("pruned")} of the candidates shown were given up`;
}
