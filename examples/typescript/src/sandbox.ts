/** One sandbox of a mock: the typed control API, and a thin face for what tests do most. */

import { randomBytes } from "node:crypto";
import createClient, { type Client } from "openapi-fetch";
import type { components, paths } from "./control.ts";

type Schemas = components["schemas"];
export type Verdict = Schemas["Verdict"];
export type Rule = Schemas["Judgement"];
export type Call = Schemas["CallEntry"];
export type Delivery = Schemas["Delivery"];
export type ClockMode = Schemas["Clock"]["mode"];

export interface SandboxOptions {
  /** A shipped scenario by name, or a whole one. */
  scenario?: string | Record<string, unknown>;
  plan?: string;
  clock?: ClockMode;
  seed?: string;
}

export interface VerdictOptions {
  /** Rules that may fail, each with the reason why. */
  waived?: Record<string, string>;
  pollSeconds?: number;
  /** `real` for a client that sleeps in real time while a scaled clock runs faster. */
  sleeps?: "clock" | "real";
  clientEnded?: boolean;
}

/** The mock refused a call of the control API. */
export class ControlError extends Error {}

export class Sandbox {
  readonly baseUrl: string;
  readonly apiKey: string;
  /** Every call of the control API, typed from its document: `sandbox.control.GET("/__mock/jobs")`. */
  readonly control: Client<paths>;

  /** A sandbox opens by itself with the first call of its key; `open` chooses how. */
  constructor(baseUrl: string, apiKey = newKey(), controlToken?: string) {
    this.baseUrl = baseUrl.replace(/\/$/, "");
    this.apiKey = apiKey;
    const headers = { "x-api-key": apiKey, ...(controlToken ? { "x-mock-token": controlToken } : {}) };
    this.control = createClient<paths>({ baseUrl: this.baseUrl, headers, fetch: realFetch });
  }

  /** What the code under test needs. */
  get env(): { VIRALSYNC_BASE_URL: string; VIRALSYNC_API_KEY: string } {
    return { VIRALSYNC_BASE_URL: this.baseUrl, VIRALSYNC_API_KEY: this.apiKey };
  }

  /** Start afresh with these options; the server's defaults hold for the rest. */
  async open(options: SandboxOptions = {}): Promise<this> {
    await answer(this.control.PUT("/__mock/sandbox", { body: options as never }));
    return this;
  }

  async reset(): Promise<void> {
    await answer(this.control.POST("/__mock/reset", {}));
  }

  async scenario(scenario: string | Record<string, unknown>): Promise<void> {
    const body = typeof scenario === "string" ? { name: scenario } : scenario;
    await answer(this.control.PUT("/__mock/scenario", { body: body as never }));
  }

  async account(changes: Record<string, unknown>): Promise<void> {
    await answer(this.control.PATCH("/__mock/account", { body: changes as never }));
  }

  /** Use up a limit, so that the next call meets it. */
  async exhaust(limit: "quota" | "rate" | "concurrency"): Promise<void> {
    await answer(this.control.POST("/__mock/exhaust", { body: { limit } }));
  }

  /** Replace all armed faults: `arm({ fault: { status: 503 }, match: "getJob", times: 2 })`. */
  async arm(...faults: { fault: Record<string, unknown>; match?: string; times?: number }[]): Promise<void> {
    const armed = faults.map(({ match, ...rest }) => ({ ...rest, ...(match ? { match: { operation: match } } : {}) }));
    await answer(this.control.PUT("/__mock/faults", { body: { faults: armed } as never }));
  }

  /** The present instant, and how the clock moves. */
  async clock(): Promise<Schemas["Clock"]> {
    return answer(this.control.GET("/__mock/clock", {}));
  }

  async setClock(change: { mode?: ClockMode; rate?: number; now?: string }): Promise<void> {
    await answer(this.control.PATCH("/__mock/clock", { body: change as never }));
  }

  /** Move the clock; returns once all events and webhooks that fell due have been sent. */
  async advance(seconds: number): Promise<void> {
    await answer(this.control.POST("/__mock/clock/advance", { body: { seconds } as never }));
  }

  /** Sleep on the clock: pass it to the code under test in place of a timer. Returns the instant of waking up. */
  async sleep(seconds: number, signal?: AbortSignal): Promise<Date> {
    const call = this.control.POST("/__mock/clock/sleep", { body: { seconds, allAsleep: false }, ...(signal ? { signal } : {}) });
    return new Date((await answer(call)).now);
  }

  /** The calls of the code under test, oldest first. */
  async calls(): Promise<Call[]> {
    return (await answer(this.control.GET("/__mock/journal", { params: { query: { limit: 1000 } } }))).calls.reverse();
  }

  async deliveries(): Promise<Delivery[]> {
    const found = await answer(this.control.GET("/__mock/deliveries", { params: { query: { limit: 1000 } } }));
    return found.deliveries.reverse();
  }

  /** How well the code under test behaved, rule by rule. Ask when it has finished. */
  async verdict({ waived = {}, ...rest }: VerdictOptions = {}): Promise<Verdict> {
    const names = Object.keys(waived).join(",");
    const query = { ...rest, ...(names ? { waived: names } : {}) };
    return answer(this.control.GET("/__mock/verdict", { params: { query } }));
  }
}

const realFetch = globalThis.fetch; // before a test replaces it

/** Fail unless the code under test kept every rule, and name the calls that show what it did. */
export async function expectWellBehaved(sandbox: Sandbox, options: VerdictOptions = {}): Promise<Verdict> {
  const verdict = await sandbox.verdict(options);
  const failed = verdict.rules.filter((each) => each.outcome === "failed");
  if (failed.length === 0) return verdict;
  const calls = new Map((await sandbox.calls()).map((call) => [call.callId, call]));
  const lines = failed.flatMap((rule) => [
    `${rule.rule}: ${rule.reason}`,
    ...rule.evidence.slice(0, 5).map((id) => `    ${id} ${shown(calls.get(id))}`),
  ]);
  throw new Error(["the client is not well behaved:", ...lines].join("\n"));
}

function shown(call: Call | undefined): string {
  return call ? `${call.method} ${call.path} -> ${call.status ?? call.ending}` : "";
}

/** A key that no sandbox has yet. */
export function newKey(): string {
  return `vs_prod_${randomBytes(16).toString("hex")}`;
}

async function answer<T>(call: Promise<{ data?: T; error?: unknown; response: Response }>): Promise<T> {
  const { data, error, response } = await call;
  if (data !== undefined) return data;
  const told = (error as { error?: string } | undefined)?.error ?? response.statusText;
  throw new ControlError(`${response.status} ${new URL(response.url).pathname}: ${told}`);
}
