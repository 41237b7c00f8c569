import { describe, expect, test } from "vitest";
import { type BeamTree, grown, layout, NO_BEAMS, textOf } from "../src/generation/beams";
import { matchesPreset, withPreset } from "../src/parameters/presets";
import type { Parameter, Preset, Strategy, TreeEvent, TreeNode } from "../src/wire";

function node(id: number, parent: number, token: string, score: number): TreeNode {
  return { node: id, parent, token, token_id: id, score, group: 0, finish_reason: null };
}

function step(rest: Partial<TreeEvent>): TreeEvent {
  return { event: "tree", step: 1, expand: [], prune: [], finish: [], returned: [], ...rest };
}

function treeOf(...steps: TreeEvent[]): BeamTree {
  return steps.reduce(grown, NO_BEAMS);
}

const STEPS = [
  step({ expand: [node(1, 0, " a", -1), node(2, 0, " the", -2)] }),
  step({ expand: [node(3, 1, " cat", -1.5), node(4, 1, " dog", -1.7)], prune: [2] }),
  step({ expand: [node(5, 3, " sat", -2)], finish: [node(6, 4, ".", -0.9)] }),
  step({ prune: [5], returned: [6] }),
];

describe("the tree of beams", () => {
  test("knows what became of each candidate", () => {
    const tree = treeOf(...STEPS);

    expect([...tree.values()].map(({ fate }) => fate)).toEqual([
      "alive", "pruned", "alive", "alive", "pruned", "returned",
    ]);
    expect(tree.get(6)?.depth).toBe(3);
    const last = tree.get(6);
    expect(last && textOf(tree, last)).toBe(" a dog.");
  });

  test("begins anew with the next text", () => {
    const start = { event: "start", id: "", model: "", strategy: "", unused_parameters: [], seed: 1, usage: { prompt_tokens: 1 }, num_sequences: 1 } as const;

    expect(grown(treeOf(...STEPS), start).size).toBe(0);
  });

  test("has a row for each leaf, parents amid their children, and one best path", () => {
    const { places, numRows, depth } = layout(treeOf(...STEPS));
    const placeOf = (id: number) => places.find(({ beam }) => beam.node === id);

    expect([numRows, depth]).toEqual([3, 3]);
    expect(placeOf(1)?.row).toBe(((placeOf(3)?.row ?? 0) + (placeOf(4)?.row ?? 0)) / 2);
    expect(places.filter(({ isOnBestPath }) => isOnBestPath).map(({ beam }) => beam.node)).toEqual([1, 4, 6]);
    expect(placeOf(1)?.share).toBe(1);
    expect(placeOf(2)?.share).toBeCloseTo(Math.exp(-1));
  });

  test("shows few of those that were given up, and all that lives", () => {
    const many = Array.from({ length: 40 }, (_, i) => node(i + 1, 0, "x", -i));
    const tree = treeOf(step({ expand: many }), step({ prune: many.slice(2).map((one) => one.node) }));

    expect(layout(tree).places.filter(({ beam }) => beam.fate === "alive")).toHaveLength(2);
    expect(layout(tree).places).toHaveLength(14);
  });
});

const LENGTH: Parameter = { name: "max_new_tokens", label: "", type: "int", default: 100, group: "main", description: "" };
const STRATEGY: Strategy = {
  id: "s",
  label: "",
  type: "",
  description: "",
  color: "",
  parameters: [LENGTH, { ...LENGTH, name: "temperature", default: 0.8 }, { ...LENGTH, name: "top_p", default: 0.95 }],
};
const PRESET: Preset = { id: "p", label: "", description: "", values: { temperature: 0.6, top_p: 0.95 } };

describe("a preset", () => {
  test("sets what it names, resets the rest and leaves the length alone", () => {
    const values = withPreset(STRATEGY, { top_p: 0.5, max_new_tokens: 7, other: 1 }, PRESET);

    expect(values).toEqual({ temperature: 0.6, max_new_tokens: 7, other: 1 });
    expect(matchesPreset(STRATEGY, values, PRESET)).toBe(true);
  });

  test("is no longer chosen once a value is another", () => {
    expect(matchesPreset(STRATEGY, { temperature: 0.7 }, PRESET)).toBe(false);
    expect(matchesPreset(STRATEGY, { temperature: 0.6, top_p: 0.9 }, PRESET)).toBe(false);
  });
});
