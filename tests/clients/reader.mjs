// Reads one progress stream with fetch, in Node and in browsers alike: EventSource cannot send the header of the key.

/** Yield `{id, event, data}` for each event, by the parsing rules of WHATWG's event stream. */
export async function* follow(baseUrl, key, jobId, lastEventId = "") {
  const headers = { "x-api-key": key, accept: "text/event-stream" };
  if (lastEventId !== "") headers["last-event-id"] = lastEventId;
  const response = await fetch(`${baseUrl}/v1/jobs/${jobId}/progress`, { headers, cache: "no-store" });
  if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
  let fields = {};
  for await (const line of lines(response.body)) {
    if (line === "") {
      if (fields.data !== undefined) yield { event: "message", ...fields, data: JSON.parse(fields.data) };
      fields = {};
    } else if (!line.startsWith(":")) {
      const [, name, value] = /^([^:]*)(?:: ?(.*))?$/.exec(line);
      fields[name] = name === "data" && fields.data !== undefined ? `${fields.data}\n${value}` : value;
    }
  }
}

/** Yield the lines of a stream of bytes, whatever way they were cut into chunks. */
async function* lines(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const parts = (rest + value).split(/\r\n|\n|\r/);
      rest = parts.pop();
      yield* parts;
    }
  } finally {
    await reader.cancel();
  }
}
