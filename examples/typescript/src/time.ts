/**
 * Time on the sandbox's clock: timers and Date of this process follow it, so that a client that sleeps an hour takes no time.
 *
 * The sandbox's clock is in mode `jump`: it goes to the earliest wake-up when nothing happens. This process sleeps there
 * until its earliest timer is due. fetch and sockets keep real time.
 */

import FakeTimers from "@sinonjs/fake-timers";
import type { Sandbox } from "./sandbox.ts";

const SETTERS = ["setTimeout", "setInterval"] as const;
const CLEARERS = ["clearTimeout", "clearInterval"] as const;
const real = { setTimeout, setInterval, clearTimeout, clearInterval, setImmediate, now: Date.now };

/** Let timers and Date follow the sandbox's clock until the returned function is called. */
export async function useSandboxTime(sandbox: Sandbox): Promise<() => Promise<void>> {
  await sandbox.setClock({ mode: "jump" });
  const { now } = await sandbox.clock();
  const clock = FakeTimers.install({ now: new Date(now), toFake: [...SETTERS, ...CLEARERS, "Date"] });
  const timers = new Timers(clock);
  const sleeping = keepPace(sandbox, clock, timers);
  return async () => {
    timers.end();
    await sleeping;
    clock.uninstall();
  };
}

/** Run a function on the sandbox's clock. */
export async function onSandboxTime<T>(sandbox: Sandbox, work: () => Promise<T>): Promise<T> {
  const restore = await useSandboxTime(sandbox);
  try {
    return await work();
  } finally {
    await restore();
  }
}

/** Knows when the next timer is due, and when an earlier one is set meanwhile. */
class Timers {
  hasEnded = false;
  #change = new AbortController();
  readonly #clock: FakeTimers.Clock;

  constructor(clock: FakeTimers.Clock) {
    this.#clock = clock;
    for (const name of SETTERS) {
      const faked = globalThis[name] as typeof setTimeout;
      const watched = (...words: Parameters<typeof setTimeout>) => {
        if (isCalledByNode()) return (real[name] as typeof setTimeout)(...words);
        const timer = faked(...words);
        this.#change.abort();
        return timer;
      };
      globalThis[name] = Object.assign(watched, faked) as never;
    }
    for (const name of CLEARERS) {
      const faked = globalThis[name];
      globalThis[name] = ((timer: NodeJS.Timeout) => (isCalledByNode() ? real[name](timer) : faked(timer))) as never;
    }
    const faked = Date.now;
    Date.now = () => (isCalledByNode() ? real.now() : faked());
  }

  /** Milliseconds until the next timer; undefined for none. */
  get wait(): number | undefined {
    const { timers } = this.#clock as unknown as { timers?: Map<number, { callAt: number }> };
    if (timers && !(timers instanceof Map)) throw new Error("@sinonjs/fake-timers: expected version 15, whose timers are a Map");
    const due = [...(timers?.values() ?? [])].map((each) => each.callAt);
    return due.length ? Math.max(0, Math.min(...due) - this.#clock.now) : undefined;
  }

  /** A signal for the next change. */
  watch(): AbortSignal {
    this.#change = new AbortController();
    if (this.hasEnded) this.#change.abort();
    return this.#change.signal;
  }

  end(): void {
    this.hasEnded = true;
    this.#change.abort();
  }
}

/** Say whether Node's own code calls, such as fetch with its time-outs: it keeps real time. */
function isCalledByNode(): boolean {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 3;
  const frames = new Error().stack?.split("\n") ?? [];
  Error.stackTraceLimit = stackTraceLimit;
  return frames[3]?.includes("node:internal/") ?? false;
}

async function keepPace(sandbox: Sandbox, clock: FakeTimers.Clock, timers: Timers): Promise<void> {
  while (!timers.hasEnded) {
    const signal = timers.watch();
    const wait = timers.wait;
    if (wait === undefined) await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
    else if (wait === 0) await clock.tickAsync(0);
    else await sleepUntil(sandbox, clock, wait, signal);
    await new Promise<void>((resolve) => real.setImmediate(resolve));
  }
}

async function sleepUntil(sandbox: Sandbox, clock: FakeTimers.Clock, wait: number, signal: AbortSignal): Promise<void> {
  try {
    const woke = await sandbox.sleep(wait / 1000, signal);
    await clock.tickAsync(Math.max(wait, woke.getTime() - clock.now));
  } catch (problem) {
    if (!signal.aborted) throw problem;
  }
}
