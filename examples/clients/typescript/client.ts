// A well-behaved client of the ViralSync API on fetch, with nothing but Node: `npx tsc && node client.js`.
//
// VIRALSYNC_BASE_URL and VIRALSYNC_API_KEY say where; VIRALSYNC_TASK what: render (as poll), poll, stream, webhook, list,
// cancel. It ends with 0 when the video is there.

import { createHmac, randomUUID, timingSafeEqual } from "node:crypto";
import { createServer } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { pathToFileURL } from "node:url";

export interface Job {
  jobId: string;
  status: string;
  payload?: { movie?: { title?: string } };
}
interface Page {
  jobs: Job[];
  nextCursor: string | null;
}
interface Call {
  method?: string;
  body?: unknown;
  headers?: Record<string, string>;
  timeout?: number;
}

export const TERMINAL = ["done", "failed", "cancelled"];

/** The API refused a call: trying again changes nothing. */
export class Refused extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
  ) {
    super(`${status} ${code}`);
  }
}

/** The response to a submission did not arrive: the job may exist. */
export class Lost extends Error {}

/** Everything that a render needs; a bad client differs by one method. */
export class Client {
  readonly baseUrl = process.env.VIRALSYNC_BASE_URL ?? "https://api.viralsync.io";
  readonly key = process.env.VIRALSYNC_API_KEY ?? "";
  pollMs = 1000;
  attempts = 8;
  patienceMs = 1000 * Number(process.env.VIRALSYNC_PATIENCE_SECONDS ?? 600);
  /** A keep-alive comes every 15 s. */
  silenceMs = 1000 * Number(process.env.VIRALSYNC_SILENCE_SECONDS ?? 45);

  // ---- calls

  async send(path: string, { method = "GET", body, headers, timeout = 10_000 }: Call): Promise<Response> {
    return fetch(this.baseUrl + path, {
      method,
      headers: { "x-api-key": this.key, ...(body ? { "content-type": "application/json" } : {}), ...headers },
      ...(body ? { body: JSON.stringify(body) } : {}),
      signal: AbortSignal.timeout(timeout),
    });
  }

  /** Return a response that is fine: waits out 429, and tries again after failures of the server. */
  async open(path: string, call: Call = {}, send = () => this.send(path, call)): Promise<Response> {
    for (let attempt = 1; attempt <= this.attempts; attempt++) {
      let response: Response | undefined;
      try {
        response = await send();
      } catch {
        if (call.body) throw new Lost();
      }
      if (response?.ok) return response;
      if (response && response.status < 500 && response.status !== 429) {
        throw new Refused(response.status, await codeOf(response));
      }
      await response?.body?.cancel();
      await this.waitBeforeRetry(attempt, response);
    }
    throw new Refused(0, "GIVEN_UP");
  }

  /** Sleep as long as the server asks, or longer each time. */
  async waitBeforeRetry(attempt: number, response?: Response): Promise<void> {
    const asked = response?.headers.get("retry-after");
    await sleep(asked ? 1000 * Number(asked) : 250 * 2 ** attempt);
  }

  /** Return the JSON of a response; one that is no JSON counts as a failure of the server. */
  async call<T>(path: string, call: Call = {}): Promise<T> {
    for (let attempt = 1; attempt <= this.attempts; attempt++) {
      const response = await this.open(path, call);
      try {
        return (await response.json()) as T;
      } catch {
        if (call.body) throw new Lost();
        await this.waitBeforeRetry(attempt);
      }
    }
    throw new Refused(0, "NO_JSON");
  }

  // ---- jobs

  /** Submit a movie and return the id of its job; a submission whose response is lost is looked for first. */
  async submit(callbackUrl?: string): Promise<string> {
    const title = `trial ${randomUUID()}`;
    const movie = { title, scenes: [{ id: "only", duration: 1 }] };
    const body = { kind: "movie", projectId: "proj_trial", movie, ...(callbackUrl ? { callbackUrl } : {}) };
    for (let attempt = 1; attempt <= this.attempts; attempt++) {
      try {
        return (await this.call<Job>("/v1/render/jobs", { method: "POST", body })).jobId;
      } catch (problem) {
        if (problem instanceof Lost) {
          const found = await this.afterLost(title);
          if (found) return found;
        } else if (!(problem instanceof Refused) || problem.code !== "CONCURRENCY_LIMIT_EXCEEDED") {
          throw problem;
        }
        await sleep(1000 * 2 ** (attempt - 1));
      }
    }
    throw new Refused(409, "NO_SLOT");
  }

  /** Return the id of the job that a lost submission has made. */
  async afterLost(title: string): Promise<string | undefined> {
    for await (const job of this.list()) {
      if (job.payload?.movie?.title === title) return job.jobId;
    }
    return undefined;
  }

  /** Yield every job, page after page. */
  async *list(): AsyncGenerator<Job> {
    for (let cursor = ""; ; ) {
      const page: Page = await this.call<Page>(`/v1/jobs?limit=50${cursor}`);
      yield* page.jobs;
      if (!page.nextCursor) return;
      cursor = `&cursor=${encodeURIComponent(page.nextCursor)}`;
    }
  }

  async read(job: string): Promise<Job> {
    return this.call<Job>(`/v1/jobs/${job}`);
  }

  async cancel(job: string): Promise<void> {
    await this.call(`/v1/jobs/${job}/cancel`, { method: "POST" });
  }

  isOver(status: string): boolean {
    return TERMINAL.includes(status); // a status that nobody knows is no end
  }

  /** Look at a job until it has ended, and cancel it after the patience. */
  async poll(job: string): Promise<string> {
    const deadline = Date.now() + this.patienceMs;
    while (Date.now() < deadline) {
      const { status } = await this.read(job);
      if (this.isOver(status)) return status;
      await sleep(this.pollMs);
    }
    return this.giveUp(job);
  }

  async giveUp(job: string): Promise<string> {
    await this.cancel(job);
    return "cancelled";
  }

  /** Follow a job on its stream, and resume where it broke off. */
  async stream(job: string): Promise<string> {
    let last = "";
    for (let attempt = 1; attempt <= this.attempts; attempt++) {
      try {
        for await (const [id, event] of this.events(job, last)) {
          last = id;
          if (TERMINAL.includes(event.status)) return event.status;
        }
      } catch (problem) {
        if (problem instanceof Refused) throw problem;
      }
      await sleep(100 * 2 ** attempt);
    }
    return this.poll(job);
  }

  resumeHeaders(last: string): Record<string, string> {
    return last ? { "last-event-id": last } : {};
  }

  /** Yield the events of one stream with their ids, each when it is whole; a silent stream is aborted. */
  async *events(job: string, last: string): AsyncGenerator<[string, Job]> {
    const watch = new AbortController();
    const headers = { "x-api-key": this.key, accept: "text/event-stream", ...this.resumeHeaders(last) };
    const path = `/v1/jobs/${job}/progress`;
    const response = await this.open(path, {}, () => fetch(this.baseUrl + path, { headers, signal: watch.signal }));
    let timer = setTimeout(() => watch.abort(), this.silenceMs);
    let text = "";
    try {
      for await (const part of response.body!.pipeThrough(new TextDecoderStream())) {
        clearTimeout(timer);
        timer = setTimeout(() => watch.abort(), this.silenceMs);
        text += part;
        for (let end = text.indexOf("\n\n"); end >= 0; end = text.indexOf("\n\n")) {
          const lines = text.slice(0, end).split("\n");
          text = text.slice(end + 2);
          last = lines.find((line) => line.startsWith("id: "))?.slice(4) ?? last;
          const data = lines.filter((line) => line.startsWith("data: ")).map((line) => line.slice(6));
          if (data.length) yield [last, JSON.parse(data.join("\n")) as Job];
        }
      }
    } finally {
      clearTimeout(timer);
      watch.abort(); // a stream may stay open after its end
    }
  }

  /** Submit with a callbackUrl, and wait for the webhook of the end; look for oneself when none comes for long. */
  async webhook(): Promise<string> {
    let onEnd: (status: string) => void = () => {};
    const ended = new Promise<string>((resolve) => (onEnd = resolve));
    const server = createServer(async (request, response) => {
      const parts: Buffer[] = [];
      for await (const part of request) parts.push(part as Buffer);
      const body = Buffer.concat(parts);
      const status = this.answer(body, String(request.headers["x-render-signature"] ?? ""));
      response.writeHead(status).end();
      const event = JSON.parse(body.toString()) as Job;
      if (status === 200 && TERMINAL.includes(event.status)) onEnd(event.status);
    });
    await new Promise<void>((resolve) => server.listen(Number(process.env.VIRALSYNC_CALLBACK_PORT ?? 0), "127.0.0.1", resolve));
    const job = await this.submit(process.env.VIRALSYNC_CALLBACK_URL);
    const late = new AbortController();
    const look = sleep(30_000, undefined, { signal: late.signal }).then(() => this.poll(job), () => "");
    const status = await Promise.race([ended, look]);
    await sleep(500); // a duplicate may be under way
    late.abort();
    server.close();
    server.closeAllConnections();
    return status;
  }

  /** Return the status for a webhook: only the API can sign its body. */
  answer(body: Buffer, signature: string): number {
    const expected = createHmac("sha256", process.env.VIRALSYNC_WEBHOOK_SECRET ?? "").update(body).digest("hex");
    const isGenuine = signature.length === expected.length && timingSafeEqual(Buffer.from(signature), Buffer.from(expected));
    return isGenuine ? 200 : 401;
  }

  /** Do one task; return whether it went well. */
  async run(task: string): Promise<boolean> {
    if (task === "list") {
      let count = 0;
      for await (const _ of this.list()) count++;
      return count > 0;
    }
    if (task === "webhook") return (await this.webhook()) === "done";
    const job = await this.submit();
    if (task === "cancel") this.patienceMs = 2000;
    const status = task === "stream" ? await this.stream(job) : await this.poll(job);
    return status === (task === "cancel" ? "cancelled" : "done");
  }
}

async function codeOf(response: Response): Promise<string> {
  try {
    return ((await response.json()) as { code: string }).code;
  } catch {
    return "";
  }
}

export async function main(client: Client): Promise<void> {
  try {
    process.exitCode = (await client.run(process.env.VIRALSYNC_TASK ?? "render")) ? 0 : 1;
  } catch (problem) {
    console.error(String(problem));
    process.exitCode = 1;
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) await main(new Client());
