import { describe, expect, test } from "vitest";
import { outline } from "../src/document/outline";
import { apply, difference, invert } from "../src/document/patch";
import {
  branch,
  edit,
  go,
  grow,
  hasTwin,
  moveSeam,
  nodeAt,
  plant,
  redo,
  textAt,
  type Tree,
  undo,
  withdraw,
} from "../src/document/tree";
import { randomText, randomly } from "./random";

function generate(tree: Tree, text: string, parent = tree.current): Tree {
  const prompt = textAt(tree, parent);
  const seam = prompt.length;
  return grow(branch(tree, { text: prompt, seam, kind: "generation", at: 0, parent }), text);
}

describe("patches", () => {
  test("a patch leads from one text to the other, its inverse leads back, and no emoji is cut in two", () => {
    randomly(400, (random) => {
      const before = randomText(random);
      const after = randomText(random);

      const patch = difference(before, after);

      expect(apply(before, patch)).toBe(after);
      expect(apply(after, invert(patch))).toBe(before);
      for (const piece of [patch.removed, patch.inserted]) expect(piece.isWellFormed()).toBe(true);
    });
  });
});

describe("the undo tree", () => {
  test("every state keeps its text, whatever is done and wherever one goes in between", () => {
    randomly(60, (random) => {
      let tree = plant(randomText(random), 0);
      const texts = [tree.text];
      for (let step = 0; step < 30; step += 1) {
        const numNodes = tree.nodes.length;
        const choice = Math.floor(random() * 5);
        if (choice === 0) tree = edit(tree, randomText(random), step * 10_000);
        if (choice === 1) tree = generate(tree, randomText(random));
        if (choice === 2) tree = undo(tree);
        if (choice === 3) tree = redo(tree);
        if (choice === 4) tree = go(tree, Math.floor(random() * numNodes));
        if (tree.nodes.length > numNodes) texts.push(tree.text);

        expect(tree.text).toBe(texts[tree.current]);
      }
      texts.forEach((text, id) => expect(go(tree, id).text).toBe(text));
    });
  });

  test("redo after undo leads back along the branch that was left", () => {
    const first = generate(plant("Once", 0), " upon");
    const second = generate(undo(first), " there");
    const back = undo(go(second, 1));

    expect(back.text).toBe("Once");
    expect(redo(back).text).toBe("Once upon");
  });

  test("typing without a pause is one step of undo, a pause begins another", () => {
    let tree = plant("", 0);
    ["a", "ab", "abc"].forEach((text, index) => (tree = edit(tree, text, 100 + index * 100)));
    tree = edit(tree, "abcd", 5000);

    expect(tree.nodes).toHaveLength(3);
    expect(undo(tree).text).toBe("abc");
    expect(undo(undo(tree)).text).toBe("");
  });

  test("typing in another place begins another step of undo", () => {
    let tree = edit(plant("one two", 0), "one two!", 10);
    tree = edit(tree, "*one two!", 20);

    expect(undo(tree).text).toBe("one two!");
  });

  test("editing a generated text makes all of it the prompt", () => {
    const tree = edit(generate(plant("Once", 0), " upon"), "Once upon.", 10_000);

    expect(nodeAt(tree, tree.current).seam).toBe("Once upon.".length);
  });

  test("a withdrawn state was never there", () => {
    const before = plant("Once", 0);
    const tree = withdraw(generate(before, ""));

    expect(tree).toEqual(before);
  });

  test("a moved seam stays inside the text", () => {
    const tree = generate(plant("Once", 0), " upon");

    expect(nodeAt(moveSeam(tree, 99), 1).seam).toBe("Once upon".length);
    expect(nodeAt(moveSeam(tree, -1), 1).seam).toBe(0);
  });

  test("states side by side with the same text are twins", () => {
    const once = generate(plant("Once", 0), " upon");
    const twice = generate(once, " upon", 0);
    const other = generate(once, " more", 0);

    expect(hasTwin(twice, twice.current)).toBe(true);
    expect(hasTwin(other, other.current)).toBe(false);
  });

  test("the outline indents where the text branches, and marks the way to the screen", () => {
    const tree = generate(generate(plant("Once", 0), " upon"), " there", 0);

    const entries = outline(tree).map(({ excerpt, depth, isOnPath }) => ({ excerpt, depth, isOnPath }));

    expect(entries).toEqual([
      { excerpt: "upon", depth: 1, isOnPath: false },
      { excerpt: "there", depth: 1, isOnPath: true },
    ]);
  });
});
