/** Reads the arriving text to those who listen: politely, in whole sentences, not too often. */

import { effect } from "@preact/signals";
import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { useApp } from "../app";
import { seamOf } from "../state/writing";

const PAUSE_MS = 3000;

export function Announcer(): JSX.Element {
  const { writing, comparing } = useApp();
  const element = useRef<HTMLDivElement>(null);

  useEffect(() => {
    let said = 0;
    let saidAt = 0;
    let wasRunning = false;
    return effect(() => {
      const running = writing.isRunning.value;
      const tree = writing.tree.value;
      const text = tree.text.slice(seamOf(tree));
      if (running && !wasRunning) said = 0;
      const isDue = (wasRunning && !running) || (running && Date.now() - saidAt > PAUSE_MS);
      wasRunning = running;
      if (!isDue || element.current === null) return;
      const end = running ? endOfSentence(text) : text.length;
      if (end <= said) return;
      element.current.textContent = text.slice(said, end);
      said = end;
      saidAt = Date.now();
    });
  }, []);

  useEffect(() => {
    let wasRunning = false;
    return effect(() => {
      const running = comparing.isRunning.value;
      if (wasRunning && !running && element.current !== null) element.current.textContent = "All columns have ended.";
      wasRunning = running;
    });
  }, []);

  return <div class="only-heard" aria-live="polite" ref={element} />;
}

function endOfSentence(text: string): number {
  return 1 + Math.max(text.lastIndexOf("."), text.lastIndexOf("!"), text.lastIndexOf("?"), text.lastIndexOf("\n"));
}
