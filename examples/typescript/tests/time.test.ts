import { describe, expect } from "vitest";
import { expectWellBehaved, onSandboxTime } from "../src/index.ts";
import { test } from "../src/vitest.ts";
import { RenderClient } from "./client.ts";

describe("time on the sandbox's clock", () => {
  test("a client that sleeps through a queue of ten minutes takes no time", async ({ viralsync }) => {
    await viralsync.open({ scenario: "long-queue", clock: "jump" });
    const client = new RenderClient(viralsync, 10_000);
    const began = performance.now();
    const status = await onSandboxTime(viralsync, async () => client.wait(await client.submit()));
    expect(status).toBe("done");
    expect(performance.now() - began).toBeLessThan(30_000);
    expect((await viralsync.calls()).length).toBeGreaterThan(60);
    await expectWellBehaved(viralsync);
  });

  test("Retry-After is waited out on it", async ({ viralsync }) => {
    await viralsync.open({ scenario: "rate-limited", clock: "jump" });
    const client = new RenderClient(viralsync);
    expect(await onSandboxTime(viralsync, async () => client.wait(await client.submit()))).toBe("done");
    const verdict = await expectWellBehaved(viralsync);
    expect(verdict.rules.find((rule) => rule.rule === "waits-out-retry-after")?.outcome).toBe("passed");
  });

  test("sleeps overlap, end in order, and Date follows", async ({ viralsync }) => {
    const order: string[] = [];
    await onSandboxTime(viralsync, async () => {
      const began = Date.now();
      const sleeper = async (name: string, seconds: number) => {
        await new Promise((resolve) => setTimeout(resolve, 1000 * seconds));
        order.push(`${name} ${Math.round((Date.now() - began) / 1000)}`);
      };
      await Promise.all([sleeper("long", 3600), sleeper("short", 5), sleeper("middle", 60)]);
    });
    expect(order).toEqual(["short 5", "middle 60", "long 3600"]);
  });

  test("an earlier timer that is set meanwhile comes first, and all is as before afterwards", async ({ viralsync }) => {
    const before = [setTimeout, Date];
    const order: number[] = [];
    await onSandboxTime(viralsync, async () => {
      const first = new Promise<void>((resolve) => {
        setTimeout(() => setTimeout(() => resolve(void order.push(1)), 1000), 1000);
      });
      const late = new Promise<void>((resolve) => setTimeout(() => resolve(void order.push(2)), 3_600_000));
      await Promise.all([first, late]);
    });
    expect(order).toEqual([1, 2]);
    expect([setTimeout, Date]).toEqual(before);
  });
});
