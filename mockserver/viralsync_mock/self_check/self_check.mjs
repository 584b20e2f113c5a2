// Node's fetch as a client of the self-check: reads one wanted call per line of JSON, and writes what it saw of each.
import { createInterface } from "node:readline";

const PROBLEMS = { ECONNRESET: "reset", UND_ERR_SOCKET: "closed" };

/** Make one call, and read its answer until it ends, breaks off, or `timeout` seconds are over. */
async function fetched({ method, url, headers, body, timeout }) {
  const seen = { status: null, media_type: "", body: [], problem: "", said: "" };
  const began = performance.now();
  const since = () => (performance.now() - began) / 1000;
  try {
    const response = await fetch(url, { method, headers, body, signal: AbortSignal.timeout(timeout * 1000) });
    seen.head_after = since();
    seen.status = response.status;
    seen.media_type = response.headers.get("content-type") ?? "";
    for await (const chunk of response.body ?? []) seen.body.push(chunk);
  } catch (error) {
    seen.problem = error.name === "TimeoutError" ? "timed out" : (PROBLEMS[error.cause?.code] ?? "other");
    seen.said = `${error.message} ${error.cause ?? ""}`.trim();
  }
  return { ...seen, body: Buffer.concat(seen.body).toString("base64"), seconds: since() };
}

for await (const line of createInterface({ input: process.stdin })) {
  const wanted = JSON.parse(line);
  fetched(wanted).then((seen) => console.log(JSON.stringify({ number: wanted.number, seen })));
}
