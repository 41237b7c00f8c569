/** The server's routes as functions. Knows nothing of the page's state. */

import type {
  CompareRequest,
  GenerateRequest,
  ModelCatalog,
  NextToken,
  StrategyCatalog,
  StreamEvent,
  WireError,
} from "../wire";
import { readEvents } from "./events";
import { brokenStream, offline, refusal, refused } from "./failure";

export interface Client {
  readonly base: string;
  strategies(): Promise<StrategyCatalog>;
  models(): Promise<ModelCatalog>;
  generate(request: GenerateRequest, signal: AbortSignal): AsyncIterable<StreamEvent>;
  compare(request: CompareRequest, signal: AbortSignal): AsyncIterable<StreamEvent>;
  /** What would be written next, step by step; nothing is. */
  nextToken(request: GenerateRequest, signal: AbortSignal): Promise<NextToken>;
}

export function createClient(base: string): Client {
  return {
    base,
    strategies: () => getJson<StrategyCatalog>(base, "/strategies"),
    models: () => getJson<ModelCatalog>(base, "/models"),
    generate: (request, signal) => stream(base, "/generate", { ...request, stream: true }, signal),
    compare: (request, signal) => stream(base, "/compare", { ...request, stream: true }, signal),
    nextToken: async (request, signal) => {
      const response = await answer(base, "/lab/next-token", postOf(request, signal));
      return (await response.json()) as NextToken;
    },
  };
}

async function getJson<T>(base: string, path: string): Promise<T> {
  const response = await answer(base, path, {});
  return (await response.json()) as T;
}

async function* stream(
  base: string,
  path: string,
  body: unknown,
  signal: AbortSignal,
): AsyncGenerator<StreamEvent> {
  const response = await answer(base, path, postOf(body, signal));
  if (response.body === null) throw brokenStream();
  try {
    for await (const payload of readEvents(response.body)) {
      if (payload === "[DONE]") return;
      yield parseEvent(payload);
    }
  } catch (error) {
    if (error instanceof TypeError && !signal.aborted) throw brokenStream();
    throw error;
  }
  throw brokenStream();
}

function postOf(body: unknown, signal: AbortSignal): RequestInit {
  const headers = { "content-type": "application/json", accept: "text/event-stream, application/json" };
  return { method: "POST", headers, body: JSON.stringify(body), signal };
}

async function answer(base: string, path: string, init: RequestInit): Promise<Response> {
  const response = await fetch(base + path, init).catch((error: unknown) => {
    throw error instanceof TypeError ? offline(base) : error;
  });
  if (!response.ok) throw await refusal(response);
  return response;
}

/** An error without a column ends the whole stream; one with a column is an event like any other. */
function parseEvent(payload: string): StreamEvent {
  const event = JSON.parse(payload) as StreamEvent | { readonly event?: undefined; readonly error: WireError };
  if (event.event === undefined) throw refused(event.error);
  return event;
}
