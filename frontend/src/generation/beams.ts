/** The tree that beams grow, as far as it has grown. Knows nothing of how it is drawn. */

import type { StreamEvent, TreeNode } from "../wire";

export type Fate = "alive" | "pruned" | "finished" | "returned";

export interface Beam extends TreeNode {
  readonly depth: number;
  readonly fate: Fate;
}

/** By node; parents come before their children. */
export type BeamTree = ReadonlyMap<number, Beam>;

export const NO_BEAMS: BeamTree = new Map();

/** The tree after an event; a text that starts anew starts a new tree. */
export function grown(tree: BeamTree, event: StreamEvent): BeamTree {
  if (event.event === "start") return NO_BEAMS;
  if (event.event !== "tree") return tree;
  const next = new Map(tree);
  const add = (node: TreeNode, fate: Fate): void => {
    next.set(node.node, { ...node, depth: (next.get(node.parent)?.depth ?? 0) + 1, fate });
  };
  const mark = (node: number, fate: Fate): void => {
    const beam = next.get(node);
    if (beam !== undefined) next.set(node, { ...beam, fate });
  };
  for (const node of event.expand) add(node, "alive");
  for (const node of event.finish) add(node, "finished");
  for (const node of event.prune) mark(node, "pruned");
  for (const node of event.returned) mark(node, "returned");
  return next;
}

export interface Placed {
  readonly beam: Beam;
  /** From the top, counted in rows of leaves. */
  readonly row: number;
  /** How much of its step's probability it has among those beside it, 0 to 1. */
  readonly share: number;
  readonly isOnBestPath: boolean;
}

export interface Layout {
  readonly places: readonly Placed[];
  readonly numRows: number;
  readonly depth: number;
}

/** Only what leads somewhere or was given up of late is shown, so that a long text stays readable. */
const SHOWN_PRUNED = 12;

/** Puts every leaf in a row of its own and every parent in the middle of its children. */
export function layout(tree: BeamTree): Layout {
  const shown = [...tree.values()].filter((beam) => beam.fate !== "pruned");
  const kept = new Set(shown.flatMap((beam) => pathTo(tree, beam)));
  const pruned = [...tree.values()].filter((beam) => !kept.has(beam)).slice(-SHOWN_PRUNED);
  for (const beam of pruned) for (const step of pathTo(tree, beam)) kept.add(step);

  const children = new Map<number, Beam[]>();
  for (const beam of tree.values()) {
    if (kept.has(beam)) children.set(beam.parent, [...(children.get(beam.parent) ?? []), beam]);
  }
  const best = new Set(bestPath(tree));
  const beside = new Map<number, number>();
  for (const beam of kept) beside.set(beam.depth, Math.max(beside.get(beam.depth) ?? -Infinity, beam.score));
  const places: Placed[] = [];
  let numRows = 0;

  function place(beam: Beam): number {
    const rows = (children.get(beam.node) ?? []).map(place);
    const row = rows.length === 0 ? numRows++ : ((rows[0] ?? 0) + (rows.at(-1) ?? 0)) / 2;
    const share = Math.exp(Math.min(0, beam.score - (beside.get(beam.depth) ?? beam.score)));
    places.push({ beam, row, share, isOnBestPath: best.has(beam) });
    return row;
  }

  for (const beam of children.get(0) ?? []) place(beam);
  places.sort((a, b) => a.beam.depth - b.beam.depth || a.row - b.row);
  return { places, numRows, depth: places.at(-1)?.beam.depth ?? 0 };
}

/** The text of a beam, from the prompt on. */
export function textOf(tree: BeamTree, beam: Beam): string {
  return pathTo(tree, beam)
    .map(({ token }) => token)
    .reverse()
    .join("");
}

/** To what is returned first, or as long as nothing is, to the best that lives. */
function bestPath(tree: BeamTree): Beam[] {
  const beams = [...tree.values()];
  const best =
    beams.find(({ fate }) => fate === "returned") ??
    beams.filter(({ fate }) => fate === "alive").reduce<Beam | undefined>(better, undefined);
  return best === undefined ? [] : pathTo(tree, best);
}

function better(a: Beam | undefined, b: Beam): Beam {
  return a === undefined || b.depth > a.depth || (b.depth === a.depth && b.score > a.score) ? b : a;
}

/** The beam and all before it, the last first. */
function pathTo(tree: BeamTree, beam: Beam): Beam[] {
  const path: Beam[] = [];
  for (let step: Beam | undefined = beam; step !== undefined; step = tree.get(step.parent)) path.push(step);
  return path;
}
