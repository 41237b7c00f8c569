/** The undo tree as a list to read: what each state added, and how deep it branched off. Knows nothing of the screen. */

import { nodeAt, pathFromRoot, type Tree, type TreeNode } from "./tree";

export interface Entry {
  readonly id: number;
  readonly node: TreeNode;
  /** Forks between the beginning and this state. */
  readonly depth: number;
  readonly excerpt: string;
  /** On the way to the state that is on the screen. */
  readonly isOnPath: boolean;
  readonly isCurrent: boolean;
}

const EXCERPT_LENGTH = 80;

export function outline(tree: Tree): Entry[] {
  const children = childrenOf(tree);
  const path = new Set(pathFromRoot(tree, tree.current));
  const entries: Entry[] = [];
  const open: { id: number; depth: number }[] = [{ id: 0, depth: 0 }];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const { id, depth } = next;
    const node = nodeAt(tree, id);
    const below = children.get(id) ?? [];
    if (node.kind !== "start") {
      entries.push({
        id,
        node,
        depth,
        excerpt: excerptOf(node),
        isOnPath: path.has(id),
        isCurrent: id === tree.current,
      });
    }
    const inner = below.length > 1 ? depth + 1 : depth;
    for (const child of below.toReversed()) open.push({ id: child, depth: inner });
  }
  return entries;
}

function childrenOf(tree: Tree): Map<number, number[]> {
  const children = new Map<number, number[]>();
  tree.nodes.forEach(({ parent }, id) => {
    if (parent !== null) children.set(parent, [...(children.get(parent) ?? []), id]);
  });
  return children;
}

function excerptOf({ patch }: TreeNode): string {
  const text = (patch.inserted.trim() || patch.removed.trim()).replace(/\s+/g, " ");
  const short = text.length > EXCERPT_LENGTH ? `${text.slice(0, EXCERPT_LENGTH)}…` : text;
  return patch.inserted.trim() === "" && short !== "" ? `− ${short}` : short;
}
