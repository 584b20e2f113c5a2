/** Code under test, as a team writes it: it sleeps with setTimeout, and knows nothing of a mock. */

import type { Sandbox } from "../src/index.ts";

const MOVIE = { scenes: [{ id: "intro", duration: 2 }, { id: "end", duration: 4 }] };
const TERMINAL = ["done", "failed", "cancelled"];

export class RenderClient {
  readonly #sandbox: Sandbox;
  readonly #pause: number;

  constructor(sandbox: Sandbox, pause = 2000) {
    this.#sandbox = sandbox;
    this.#pause = pause;
  }

  async call(method: string, path: string, body?: unknown): Promise<Response> {
    const { baseUrl, apiKey } = this.#sandbox;
    const headers = { "x-api-key": apiKey, ...(body ? { "content-type": "application/json" } : {}) };
    return fetch(baseUrl + path, { method, headers, ...(body ? { body: JSON.stringify(body) } : {}) });
  }

  async submit(callbackUrl?: string): Promise<string> {
    const body = { kind: "movie", projectId: "proj_ours", movie: MOVIE, ...(callbackUrl ? { callbackUrl } : {}) };
    const response = await this.call("POST", "/v1/render/jobs", body);
    const document = (await response.json()) as { jobId: string; code: string };
    if (!response.ok) throw new Error(`${response.status} ${document.code}`);
    return document.jobId;
  }

  async wait(job: string): Promise<string> {
    for (;;) {
      const response = await this.call("GET", `/v1/jobs/${job}`);
      const asked = response.headers.get("retry-after");
      const { status } = (await response.json()) as { status: string };
      if (TERMINAL.includes(status)) return status;
      await new Promise((resolve) => setTimeout(resolve, asked ? 1000 * Number(asked) : this.#pause));
    }
  }
}
