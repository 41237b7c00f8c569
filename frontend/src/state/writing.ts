/** The one text being written and the generation that grows it. Knows nothing of storage or the screen. */

import { batch, computed, type ReadonlySignal, type Signal, signal } from "@preact/signals";
import type { Client } from "../api/client";
import type { Failure } from "../api/failure";
import { PARAGRAPH } from "../document/answers";
import { oneLineEnding } from "../document/patch";
import * as trees from "../document/tree";
import { type BeamTree, grown, NO_BEAMS } from "../generation/beams";
import { NUM_ALTERNATIVES } from "../generation/choices";
import { advance, begin, fail, IDLE, interrupt, isRunning, type Report, stop } from "../generation/report";
import type { Schedule } from "../generation/inbox";
import { askFor, SEED } from "../parameters/values";
import { DEFAULT_SETTINGS, type Settings } from "../storage/draft";
import type { FinishEvent, GenerateRequest, StreamEvent } from "../wire";
import type { Catalog } from "./catalog";
import { type Following, follow } from "./follow";
import { freshSeed } from "./random";

export interface Writing {
  readonly tree: Signal<trees.Tree>;
  readonly settings: Signal<Settings>;
  /** The newest generation, and the state of the tree that it belongs to. */
  readonly report: Signal<Report>;
  readonly reportNode: Signal<number>;
  /** The generation that made the text on the screen. */
  readonly shownReport: ReadonlySignal<Report>;
  /** The tree of beams of the newest generation, while its text is on the screen. */
  readonly beams: ReadonlySignal<BeamTree>;
  readonly isRunning: ReadonlySignal<boolean>;
  readonly canGenerate: ReadonlySignal<boolean>;
  readonly canRepeat: ReadonlySignal<boolean>;
  /** The text was edited by hand; all of it is the next prompt. */
  type(text: string): void;
  generate(): void;
  stop(): void;
  /** Like `stop`, because the page is being left. */
  interrupt(): void;
  /** Writes from the seam again, with a new seed. */
  again(): void;
  /** Puts another text in the place of everything from `offset` on, and writes on from there. */
  branch(offset: number, text: string): void;
  undo(): void;
  redo(): void;
  go(node: number): void;
  moveSeam(seam: number): void;
  /** Puts a text in the place of the one on the screen; undo brings that back. */
  place(text: string, seam: number, origin: trees.Origin | null): void;
  /** What Again would continue, or Generate where nothing has been generated. */
  prompt(): string;
  /** What made the text on the screen, with its seed; `null` when it was not generated. */
  requestOfText(): GenerateRequest | null;
  /** What the settings on the screen would ask for. */
  requestOfSettings(): GenerateRequest | null;
}

export interface Clock {
  /** Milliseconds that only ever grow. */
  now(): number;
  /** The date, in milliseconds. */
  date(): number;
  schedule?: Schedule;
}

export function createWriting(client: Client, catalog: Catalog, clock: Clock): Writing {
  const tree = signal(trees.plant("", clock.date()));
  const settings = signal<Settings>(DEFAULT_SETTINGS);
  const report = signal<Report>(IDLE);
  const reportNode = signal(0);
  const grownBeams = signal<BeamTree>(NO_BEAMS);
  let following: Following | null = null;

  const running = computed(() => isRunning(report.value));
  const shownReport = computed(() => {
    if (tree.value.current === reportNode.value) return report.value;
    return trees.currentNode(tree.value).origin?.report ?? IDLE;
  });
  const isReady = computed(() => catalog.recipeOf(settings.value) !== null);
  const hasSeam = computed(() => seamOf(tree.value) < tree.value.text.length || isGeneration(tree.value));

  function start(prompt: string, parent: number): void {
    const recipe = catalog.recipeOf(settings.value);
    if (recipe === null || prompt === "") return;
    const asked = askFor(recipe);
    batch(() => {
      report.value = begin(clock.now());
      tree.value = trees.branch(tree.value, {
        text: prompt,
        seam: prompt.length,
        kind: "generation",
        at: clock.date(),
        origin: { asked, report: report.value },
        parent,
      });
      reportNode.value = tree.value.current;
      grownBeams.value = NO_BEAMS;
    });
    const listener = { receive, end: settle, fail: failed };
    watchModel();
    const hasBeams = recipe.strategy.parameters.some(({ name }) => name === "num_beams");
    const request = { prompt, ...asked, logprobs: NUM_ALTERNATIVES, ...(hasBeams ? { beam_tree: true } : {}) };
    following = follow((abort) => client.generate(request, abort), listener, clock.schedule);
  }

  function receive(events: readonly StreamEvent[]): void {
    batch(() => {
      const now = clock.now();
      for (const event of events) {
        report.value = advance(report.value, event, now);
        grownBeams.value = grown(grownBeams.value, event);
        if (event.event === "finish" && event.index > 0) addSibling(event);
      }
      tree.value = trees.grow(tree.value, oneLineEnding(events.map(textOfFirst).join("")));
    });
  }

  /** Other sequences of the same request are branches beside the one on the screen. */
  function addSibling({ text, tokens, finish_reason: finishReason, loop }: FinishEvent): void {
    const here = tree.value.current;
    const { parent, seam, origin } = trees.currentNode(tree.value);
    if (parent === null || origin === null) return;
    const whole = tree.value.text.slice(0, seam) + oneLineEnding(text);
    const finished: Report = { ...report.value, phase: "finished", tokens, finishReason, loop: loop ?? null };
    const sibling = { text: whole, seam, kind: "generation" as const, at: clock.date(), parent };
    tree.value = trees.go(trees.branch(tree.value, { ...sibling, origin: { ...origin, report: finished } }), here);
  }

  /** A model that is not loaded yet is loaded for the first who asks; the page shows how it gets on. */
  function watchModel(): void {
    if (catalog.modelOf(settings.value)?.state !== "loaded") void catalog.refreshModels();
  }

  /** The generation is over, however it ended: its state of the tree remembers how. */
  function settle(): void {
    following = null;
    watchModel();
    const { origin } = trees.nodeAt(tree.value, reportNode.value);
    if (origin === null) return;
    tree.value = trees.describe(tree.value, reportNode.value, { ...origin, report: report.value });
  }

  function failed(failure: Failure): void {
    batch(() => {
      report.value = fail(report.value, failure);
      const { text, nodes, current } = tree.value;
      const wroteNothing = seamOf(tree.value) === text.length && current === nodes.length - 1;
      if (!wroteNothing) return settle();
      following = null;
      tree.value = trees.withdraw(tree.value);
      reportNode.value = tree.value.current;
    });
  }

  function halt(end: (stream: Following) => void, mark: (report: Report) => Report): void {
    if (following === null) return;
    batch(() => {
      if (following !== null) end(following);
      report.value = mark(report.value);
      settle();
    });
  }

  const stopRun = (): void => halt((stream) => stream.stop(), stop);

  function move(to: (tree: trees.Tree) => trees.Tree): void {
    stopRun();
    tree.value = to(tree.value);
  }

  return {
    tree,
    settings,
    report,
    reportNode,
    shownReport,
    beams: computed(() => (tree.value.current === reportNode.value ? grownBeams.value : NO_BEAMS)),
    isRunning: running,
    canGenerate: computed(() => isReady.value && !running.value && tree.value.text !== ""),
    canRepeat: computed(() => isReady.value && hasSeam.value && seamOf(tree.value) > 0),

    type(text) {
      halt((stream) => stream.drop(), stop);
      tree.value = trees.edit(tree.value, text, clock.date());
    },
    generate() {
      if (!running.value) start(tree.value.text, tree.value.current);
    },
    stop: stopRun,
    interrupt: () => halt((stream) => stream.stop(), interrupt),
    again() {
      stopRun();
      const { chosen } = settings.value;
      if (typeof chosen[SEED] === "number") settings.value = reseeded(settings.value);
      const { parent } = trees.currentNode(tree.value);
      const isBesideThis = isGeneration(tree.value) && parent !== null;
      start(tree.value.text.slice(0, seamOf(tree.value)), isBesideThis ? parent : tree.value.current);
    },
    branch(offset, text) {
      stopRun();
      start(tree.value.text.slice(0, offset) + oneLineEnding(text), tree.value.current);
    },
    undo: () => move(trees.undo),
    redo: () => move(trees.redo),
    go: (node) => move((old) => trees.go(old, node)),
    moveSeam: (seam) => move((old) => trees.moveSeam(old, seam)),
    place(text, seam, origin) {
      const kind = origin === null ? "edit" : "generation";
      const state = { text: oneLineEnding(text), seam, kind, at: clock.date() } as const;
      move((old) => trees.branch(old, origin === null ? state : { ...state, origin }));
    },
    prompt: () => promptOf(tree.value),
    requestOfText() {
      const { origin } = trees.currentNode(tree.value);
      if (origin === null) return null;
      const { seed } = shownReport.value;
      return { prompt: promptOf(tree.value), ...origin.asked, ...(seed === null ? {} : { seed }) };
    },
    requestOfSettings() {
      const recipe = catalog.recipeOf(settings.value);
      return recipe === null ? null : { prompt: promptOf(tree.value), ...askFor(recipe) };
    },
  };
}

export function seamOf(tree: trees.Tree): number {
  return trees.currentNode(tree).seam;
}

function promptOf(tree: trees.Tree): string {
  return isGeneration(tree) ? tree.text.slice(0, seamOf(tree)) : tree.text;
}

function isGeneration(tree: trees.Tree): boolean {
  return trees.currentNode(tree).kind === "generation";
}

function reseeded(settings: Settings): Settings {
  return { ...settings, chosen: { ...settings.chosen, [SEED]: freshSeed() } };
}

function textOfFirst(event: StreamEvent): string {
  if (event.event === "start" && event.continues_prompt === false) return PARAGRAPH;
  return event.event === "token" && event.index === 0 ? event.text : "";
}
