/** The undo tree of one text: every state it has been in, none forgotten. Knows nothing of storage or the screen. */

import type { Report } from "../generation/report";
import type { Asked } from "../wire";
import { apply, difference, invert, newEnding, NO_CHANGE, type Patch } from "./patch";

export type NodeKind = "start" | "edit" | "generation";

/** How a generation came about; shown in the list of branches. */
export interface Origin {
  readonly asked: Asked;
  readonly report: Report;
}

export interface TreeNode {
  readonly parent: number | null;
  readonly kind: NodeKind;
  /** From the parent's text to this one. */
  readonly patch: Patch;
  /** Where the continuation starts; the text's length when there is none. */
  readonly seam: number;
  /** The child that redo goes to. */
  readonly next: number | null;
  readonly at: number;
  readonly origin: Origin | null;
}

/** `nodes[i]` has id `i`; ids are never reused. `text` is the text at `current`. */
export interface Tree {
  readonly nodes: readonly TreeNode[];
  readonly current: number;
  readonly text: string;
}

/** Typing that goes on within this pause is one step of undo. */
const TYPING_PAUSE_MS = 900;

export function plant(text: string, at: number): Tree {
  const root: TreeNode = {
    parent: null,
    kind: "start",
    patch: NO_CHANGE,
    seam: text.length,
    next: null,
    at,
    origin: null,
  };
  return { nodes: [root], current: 0, text };
}

export function nodeAt(tree: Tree, id: number): TreeNode {
  const node = tree.nodes[id];
  if (node === undefined) throw new RangeError(`The tree has no state ${id}.`);
  return node;
}

export function currentNode(tree: Tree): TreeNode {
  return nodeAt(tree, tree.current);
}

export function isLeaf(tree: Tree, id: number): boolean {
  return !tree.nodes.some((node) => node.parent === id);
}

/** The text after typing: a new state, or more of the one being typed. */
export function edit(tree: Tree, text: string, at: number): Tree {
  const node = currentNode(tree);
  const patch = difference(tree.text, text);
  if (patch.removed === "" && patch.inserted === "") return tree;
  if (!continuesTyping(tree, patch, at)) return branch(tree, { text, seam: text.length, kind: "edit", at });
  const whole = difference(parentText(tree), text);
  return { ...replace(tree, tree.current, { ...node, patch: whole, seam: text.length, at }), text };
}

export interface NewState {
  readonly text: string;
  readonly seam: number;
  readonly kind: NodeKind;
  readonly at: number;
  readonly origin?: Origin;
  /** The current state when absent. */
  readonly parent?: number;
}

/** Adds a state under its parent and goes there. */
export function branch(tree: Tree, state: NewState): Tree {
  const parent = state.parent ?? tree.current;
  const id = tree.nodes.length;
  const patchOf = state.kind === "generation" ? newEnding : difference;
  const node: TreeNode = {
    parent,
    kind: state.kind,
    patch: patchOf(textAt(tree, parent), state.text),
    seam: state.seam,
    next: null,
    at: state.at,
    origin: state.origin ?? null,
  };
  const linked = replace(tree, parent, { ...nodeAt(tree, parent), next: id });
  return { nodes: [...linked.nodes, node], current: id, text: state.text };
}

/** Lets the current state, a generation at the end of its text, grow there. */
export function grow(tree: Tree, piece: string): Tree {
  if (piece === "") return tree;
  const node = currentNode(tree);
  const patch = { ...node.patch, inserted: node.patch.inserted + piece };
  return { ...replace(tree, tree.current, { ...node, patch }), text: tree.text + piece };
}

/** Says where the current state's continuation starts. */
export function moveSeam(tree: Tree, seam: number): Tree {
  const clamped = Math.max(0, Math.min(seam, tree.text.length));
  return replace(tree, tree.current, { ...currentNode(tree), seam: clamped });
}

export function describe(tree: Tree, id: number, origin: Origin): Tree {
  return replace(tree, id, { ...nodeAt(tree, id), origin });
}

/** Takes back the newest state, which must have no children, as if it had never been. */
export function withdraw(tree: Tree): Tree {
  const id = tree.nodes.length - 1;
  const { parent } = nodeAt(tree, id);
  if (parent === null) return tree;
  const back = tree.current === id ? undo(tree) : tree;
  const linked = replace(back, parent, { ...nodeAt(back, parent), next: newestChild(back, parent, id) });
  return { ...linked, nodes: linked.nodes.slice(0, id) };
}

export function undo(tree: Tree): Tree {
  const { parent } = currentNode(tree);
  return parent === null ? tree : go(tree, parent);
}

export function redo(tree: Tree): Tree {
  const { next } = currentNode(tree);
  return next === null ? tree : go(tree, next);
}

/** Goes to any state; redo will lead back down the way taken. */
export function go(tree: Tree, id: number): Tree {
  const text = textAt(tree, id);
  const nodes = [...tree.nodes];
  for (let child = id; ; ) {
    const { parent } = nodeAt(tree, child);
    if (parent === null) break;
    nodes[parent] = { ...nodeAt({ ...tree, nodes }, parent), next: child };
    child = parent;
  }
  return { nodes, current: id, text };
}

/** From the current text up to the common ancestor, then down: no text is stored twice. */
export function textAt(tree: Tree, id: number): string {
  const goal = new Set(pathFromRoot(tree, id));
  let text = tree.text;
  let here = tree.current;
  while (!goal.has(here)) {
    const node = nodeAt(tree, here);
    text = apply(text, invert(node.patch));
    here = node.parent ?? 0;
  }
  for (const step of [...goal].slice([...goal].indexOf(here) + 1)) text = apply(text, nodeAt(tree, step).patch);
  return text;
}

export function pathFromRoot(tree: Tree, id: number): number[] {
  const path: number[] = [];
  for (let step: number | null = id; step !== null; step = nodeAt(tree, step).parent) path.push(step);
  return path.reverse();
}

function parentText(tree: Tree): string {
  return apply(tree.text, invert(currentNode(tree).patch));
}

function newestChild(tree: Tree, parent: number, except: number): number | null {
  const newest = tree.nodes.findLastIndex((node, id) => node.parent === parent && id !== except);
  return newest === -1 ? null : newest;
}

/** Whether a state beside this one holds the very same text. */
export function hasTwin(tree: Tree, id: number): boolean {
  const { parent, patch } = nodeAt(tree, id);
  return tree.nodes.some(
    (node, other) =>
      other !== id &&
      node.parent === parent &&
      node.patch.start === patch.start &&
      node.patch.inserted === patch.inserted &&
      node.patch.removed === patch.removed,
  );
}

/** Typing goes on when it follows closely, in the same place, in the newest state. */
function continuesTyping(tree: Tree, patch: Patch, at: number): boolean {
  const node = currentNode(tree);
  if (node.kind !== "edit" || !isLeaf(tree, tree.current)) return false;
  if (at - node.at > TYPING_PAUSE_MS) return false;
  const caret = node.patch.start + node.patch.inserted.length;
  const wasDeleting = node.patch.inserted === "";
  const isDeleting = patch.inserted === "";
  const touches = patch.start === caret || patch.start + patch.removed.length === caret;
  return touches && (wasDeleting === isDeleting || isDeleting);
}

function replace(tree: Tree, id: number, node: TreeNode): Tree {
  return { ...tree, nodes: tree.nodes.map((old, index) => (index === id ? node : old)) };
}
