import { expect, test } from "vitest";
import { readEvents } from "../src/api/events";

const TRANSCRIPT = 'data: {"text":"héllo 🐻‍❄️"}\n\n: ping\n\ndata: {"text":"line\\nbreak 🧵"}\n\ndata: [DONE]\n\n';
const PAYLOADS = ['{"text":"héllo 🐻‍❄️"}', '{"text":"line\\nbreak 🧵"}', "[DONE]"];

function inPieces(text: string, size: number, onCancel: () => void = () => undefined): ReadableStream<Uint8Array> {
  const bytes = new TextEncoder().encode(text);
  let offset = 0;
  return new ReadableStream({
    pull(controller) {
      if (offset >= bytes.length) return controller.close();
      controller.enqueue(bytes.slice(offset, offset + size));
      offset += size;
    },
    cancel: onCancel,
  });
}

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const item of items) list.push(item);
  return list;
}

test.each([1, 2, 3, 7, 100])("events are whole however the network cuts them: pieces of %i bytes", async (size) => {
  const payloads = await all(readEvents(inPieces(TRANSCRIPT, size)));

  expect(payloads).toEqual(PAYLOADS);
});

test("a reader that stops early cancels the stream, which tells the server to stop", async () => {
  let isCancelled = false;
  const body = inPieces(TRANSCRIPT, 7, () => (isCancelled = true));

  for await (const _ of readEvents(body)) break;

  expect(isCancelled).toBe(true);
});

test("an event without its end is not handed over", async () => {
  const payloads = await all(readEvents(inPieces('data: {"a":1}\n\ndata: {"b"', 3)));

  expect(payloads).toEqual(['{"a":1}']);
});
