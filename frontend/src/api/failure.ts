/** What can go wrong between page and server. Knows nothing of how it is shown. */

import type { WireError } from "../wire";

export type FailureKind = "offline" | "refused" | "broken";

export interface Failure {
  /** `offline`: no answer at all; `refused`: the server said why; `broken`: the stream ended early. */
  readonly kind: FailureKind;
  readonly message: string;
  readonly param: string | null;
  readonly code: string | null;
}

export class RequestFailed extends Error {
  constructor(readonly failure: Failure) {
    super(failure.message);
  }
}

export function offline(base: string): RequestFailed {
  const message = `No answer from ${base}. Start it with “penstock serve”, then try again.`;
  return new RequestFailed({ kind: "offline", message, param: null, code: null });
}

export function brokenStream(): RequestFailed {
  const message = "The server stopped in the middle. What had arrived is kept.";
  return new RequestFailed({ kind: "broken", message, param: null, code: null });
}

export function refused(error: WireError): RequestFailed {
  return new RequestFailed({
    kind: "refused",
    message: error.message,
    param: error.param,
    code: error.code,
  });
}

/** The error object of a response that is not 2xx, or a sentence about its status. */
export async function refusal(response: Response): Promise<RequestFailed> {
  const body: unknown = await response.json().catch(() => null);
  const error = (body as { error?: WireError } | null)?.error;
  if (error && typeof error.message === "string") return refused(error);
  return new RequestFailed({
    kind: "refused",
    message: `The server answered ${response.status} ${response.statusText}.`.replace(" .", "."),
    param: null,
    code: null,
  });
}

/** The longest completion that the server says would fit, when its refusal names one. */
export function roomFor(failure: Failure): number | null {
  if (failure.code !== "context_length_exceeded") return null;
  const room = / to (\d+) or (?:less|fewer)/.exec(failure.message)?.[1];
  return room === undefined ? null : Number(room);
}
