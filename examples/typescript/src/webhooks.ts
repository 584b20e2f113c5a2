/** A receiver of webhooks on node:http: it checks signatures, answers as scripted, and waits for events. */

import { createHmac, timingSafeEqual } from "node:crypto";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";

const realSetTimeout = setTimeout; // before a test replaces it

export interface WebhookEvent {
  jobId: string;
  status: string;
  progress: number;
  [field: string]: unknown;
}

/** One webhook as it arrived: the exact bytes, whether its signature fits them, and the status it was answered with. */
export interface Received {
  body: Buffer;
  isGenuine: boolean;
  status: number;
}

/** Say whether `x-render-signature` was made from these very bytes with this secret. */
export function verifySignature(body: Uint8Array, signature: string, secret: string): boolean {
  const expected = Buffer.from(createHmac("sha256", secret).update(body).digest("hex"));
  const sent = Buffer.from(signature);
  return sent.length === expected.length && timingSafeEqual(sent, expected);
}

export class WebhookReceiver {
  readonly received: Received[] = [];
  /** Whether a webhook with a bad signature is answered 401. */
  refusesForgeries = true;
  readonly #secret: string;
  readonly #server: Server;
  #statuses: number[] = [];
  #waiting = new Set<() => void>();

  constructor(secret = "whsec_viralsync_mock") {
    this.#secret = secret;
    this.#server = createServer(async (request, response) => {
      const parts: Buffer[] = [];
      for await (const part of request) parts.push(part as Buffer);
      const body = Buffer.concat(parts);
      const isGenuine = verifySignature(body, String(request.headers["x-render-signature"] ?? ""), secret);
      const status = isGenuine ? (this.#statuses.shift() ?? 200) : this.refusesForgeries ? 401 : 200;
      this.received.push({ body, isGenuine, status });
      response.writeHead(status, { connection: "close" }).end();
      for (const look of this.#waiting) look();
    });
  }

  async start(): Promise<this> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    return this;
  }

  /** Its address, for the `callbackUrl` of a submission. */
  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/webhooks`;
  }

  /** The secret that signs genuine webhooks. */
  get secret(): string {
    return this.#secret;
  }

  /** The bodies of genuine webhooks, in order: of one job, or of all. */
  events(jobId?: string): WebhookEvent[] {
    const genuine = this.received.filter((each) => each.isGenuine);
    const events = genuine.map((each) => JSON.parse(each.body.toString()) as WebhookEvent);
    return events.filter((each) => jobId === undefined || each.jobId === jobId);
  }

  get forged(): Received[] {
    return this.received.filter((each) => !each.isGenuine);
  }

  /** Answer the next genuine webhooks with these statuses, one each, and later ones 200 again. */
  respondWith(...statuses: number[]): void {
    this.#statuses.push(...statuses);
  }

  /** Return the first event with a status once it has arrived; fails after some real milliseconds. */
  async waitFor(status: string, jobId?: string, timeout = 5000): Promise<WebhookEvent> {
    return new Promise((resolve, reject) => {
      const end = () => {
        this.#waiting.delete(look);
        const came = this.events(jobId).map((each) => each.status);
        reject(new Error(`expected a webhook with status ${status} within ${timeout} ms, got ${came.join(", ") || "none"}`));
      };
      const timer = realSetTimeout(end, timeout);
      const look = () => {
        const found = this.events(jobId).find((each) => each.status === status);
        if (!found) return;
        clearTimeout(timer);
        this.#waiting.delete(look);
        resolve(found);
      };
      this.#waiting.add(look);
      look();
    });
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
