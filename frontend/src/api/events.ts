/** The one reader of server-sent events. Knows nothing of what the events mean. */

/** Yields the payload of each `data:` event, wherever the network cuts the stream. */
export async function* readEvents(body: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let pending = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const events = (pending + decoder.decode(value, { stream: true })).split("\n\n");
      pending = events.pop() ?? "";
      for (const event of events) {
        if (event.startsWith("data: ")) yield event.slice("data: ".length);
      }
    }
  } finally {
    // Tells the server to stop generating. A stream that already broke has nobody left to tell.
    await reader.cancel().catch(() => undefined);
  }
}
