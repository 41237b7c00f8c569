/** What the status strip says about a generation and offers to do. Knows nothing of how it looks. */

import { roomFor } from "../api/failure";
import type { Report } from "../generation/report";
import type { Model, Values } from "../wire";

export type Tone = "quiet" | "waiting" | "error";

export type Remedy =
  | { readonly kind: "go-on" }
  | { readonly kind: "try-again" }
  | { readonly kind: "shorten"; readonly to: number }
  | { readonly kind: "reset"; readonly param: string }
  | { readonly kind: "default-model" }
  /** Shows what is left of the limits. */
  | { readonly kind: "limits" }
  /** Writes the same again with these fields of a request changed. */
  | { readonly kind: "adjust"; readonly settings: Values };

export interface Status {
  readonly tone: Tone;
  readonly text: string;
  readonly remedy: Remedy | null;
}

const LIMIT_CODES: readonly string[] = ["rate_limit_exceeded", "request_over_limit"];

export const NO_STATUS: Status = { tone: "quiet", text: "", remedy: null };

export function statusOf(report: Report, model: Model | null, parameterNames: readonly string[]): Status {
  switch (report.phase) {
    case "idle":
      return NO_STATUS;
    case "waiting":
      return waiting(report.place === null ? waitingFor(model) : placeOf(report.place, report.placeSeconds));
    case "reading":
      return waiting(`Reading the prompt, ${count(report.promptTokens ?? 0, "token")}…`);
    case "writing":
      return quiet("Writing…");
    case "finished":
      return finished(report);
    case "stopped":
      return quiet("Stopped.", { kind: "go-on" });
    case "interrupted":
      return quiet("You left the page here. Nothing that had arrived is lost.", { kind: "go-on" });
    case "failed":
      return { tone: "error", text: report.failure?.message ?? "", remedy: remedyFor(report, parameterNames) };
  }
}

export function count(number: number, noun: string): string {
  return `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;
}

function waitingFor(model: Model | null): string {
  if (model === null || model.state === "loaded") return "Waiting for the server…";
  if (model.state === "downloading" || !model.local) return `Fetching ${model.label}…`;
  return `Loading ${model.label}. The first time takes a moment…`;
}

function placeOf(place: number, seconds: number | null): string {
  const others = place === 1 ? "You are next" : `Place ${place.toLocaleString("en")} in the queue`;
  return seconds === null ? `${others}…` : `${others}, about ${count(Math.max(1, Math.round(seconds)), "second")}…`;
}

function finished(report: Report): Status {
  if (report.unused.length > 0) return quiet(`This strategy does not use ${report.unused.join(", ")}.`);
  if (report.loop) {
    return quiet(`Goes round in circles from token ${report.loop.start + 1} on.`, {
      kind: "adjust",
      settings: report.loop.settings,
    });
  }
  if (report.missingWords) {
    return quiet(`${count(report.missingWords, "forced word")} did not fit. Allow more length, or fewer words.`);
  }
  if (report.finishReason === "length") return quiet("Length reached.", { kind: "go-on" });
  if (report.finishReason === "time") return quiet("Its time was up.", { kind: "go-on" });
  if (report.finishReason === "cancelled") return quiet("The server cancelled this.", { kind: "go-on" });
  return quiet(report.tokens === 0 ? "The model had nothing to add." : "Came to its end.");
}

function remedyFor(report: Report, parameterNames: readonly string[]): Remedy | null {
  const { failure } = report;
  if (failure === null) return null;
  if (failure.code !== null && LIMIT_CODES.includes(failure.code)) return { kind: "limits" };
  const room = roomFor(failure);
  if (room !== null && room > 0) return { kind: "shorten", to: room };
  if (failure.param === "model") return { kind: "default-model" };
  if (failure.param !== null && parameterNames.includes(failure.param)) {
    return { kind: "reset", param: failure.param };
  }
  return failure.kind === "broken" ? { kind: "go-on" } : { kind: "try-again" };
}

function waiting(text: string): Status {
  return { tone: "waiting", text, remedy: null };
}

function quiet(text: string, remedy: Remedy | null = null): Status {
  return { tone: "quiet", text, remedy };
}
