/** The server's routes as functions. Knows nothing of the page's state. */

import type {
  AdapterCatalog,
  CompareRequest,
  GenerateRequest,
  ModelCatalog,
  NextToken,
  StrategyCatalog,
  StreamEvent,
  WireError,
} from "../wire";
import { readEvents } from "./events";
import { brokenStream, offline, refusal, refused, RequestFailed } from "./failure";

export interface Client {
  readonly base: string;
  strategies(): Promise<StrategyCatalog>;
  models(): Promise<ModelCatalog>;
  adapters(): Promise<AdapterCatalog>;
  generate(request: GenerateRequest, signal: AbortSignal): AsyncIterable<StreamEvent>;
  compare(request: CompareRequest, signal: AbortSignal): AsyncIterable<StreamEvent>;
  /** What would be written next, step by step; nothing is. */
  nextToken(request: GenerateRequest, signal: AbortSignal): Promise<NextToken>;
}

/** `onSignedOut` hears when the server asks who this is. */
export function createClient(base: string, onSignedOut: () => void = () => undefined): Client {
  const ask: Ask = (path, init) =>
    request(base, path, init).catch((error: unknown) => {
      if (error instanceof RequestFailed && error.failure.code === "not_signed_in") onSignedOut();
      throw error;
    });
  return {
    base,
    strategies: () => getJson<StrategyCatalog>(ask, "/strategies"),
    models: () => getJson<ModelCatalog>(ask, "/models"),
    adapters: () => getJson<AdapterCatalog>(ask, "/adapters"),
    generate: (request, signal) => stream(ask, "/generate", { ...request, stream: true }, signal),
    compare: (request, signal) => stream(ask, "/compare", { ...request, stream: true }, signal),
    nextToken: async (asked, signal) => {
      const response = await ask("/lab/next-token", postOf(asked, signal));
      return (await response.json()) as NextToken;
    },
  };
}

type Ask = (path: string, init: RequestInit) => Promise<Response>;

async function getJson<T>(ask: Ask, path: string): Promise<T> {
  const response = await ask(path, {});
  return (await response.json()) as T;
}

async function* stream(
  ask: Ask,
  path: string,
  body: unknown,
  signal: AbortSignal,
): AsyncGenerator<StreamEvent> {
  const response = await ask(path, postOf(body, signal));
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

/** A response that is 2xx, or `RequestFailed`. */
export async function request(base: string, path: string, init: RequestInit): Promise<Response> {
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
