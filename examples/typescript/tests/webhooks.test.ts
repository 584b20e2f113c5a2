import { createHmac } from "node:crypto";
import { describe, expect } from "vitest";
import { verifySignature } from "../src/index.ts";
import { test } from "../src/vitest.ts";
import { RenderClient } from "./client.ts";

describe("the receiver of webhooks", () => {
  test("waits for the end of a job", async ({ viralsync, webhooks }) => {
    await viralsync.setClock({ mode: "frozen" });
    const job = await new RenderClient(viralsync).submit(webhooks.url);
    await viralsync.advance(120);
    const event = await webhooks.waitFor("done", job);
    expect(event.outputUrl).toBe(`https://r2.viralsync.io/outputs/${job}/output.mp4`);
    expect(webhooks.events(job).length).toBeGreaterThan(4);
    expect(webhooks.forged).toEqual([]);
  });

  test("refuses what is not signed with its secret", async ({ viralsync, webhooks }) => {
    await viralsync.open({ scenario: "webhook-bad-signature", clock: "frozen" });
    await new RenderClient(viralsync).submit(webhooks.url);
    await viralsync.advance(120);
    expect(webhooks.events()).toEqual([]);
    expect(webhooks.forged.map((each) => each.status)).toContain(401);
    await expect(webhooks.waitFor("done", undefined, 50)).rejects.toThrow("expected a webhook with status done");
  });

  test("answers as scripted, and then gets the terminal webhook again", async ({ viralsync, webhooks }) => {
    await viralsync.open({ scenario: "instant", clock: "frozen" });
    webhooks.respondWith(503);
    const job = await new RenderClient(viralsync).submit(webhooks.url);
    await viralsync.advance(120);
    expect(webhooks.received.map((each) => each.status)).toEqual([503, 200]);
    expect((await viralsync.deliveries()).map((each) => [each.jobId, each.outcome])).toEqual([[job, "delivered"]]);
  });

  test("checks signatures byte by byte", () => {
    const body = Buffer.from('{"a": 1 }');
    const signature = createHmac("sha256", "s").update(body).digest("hex");
    expect(verifySignature(body, signature, "s")).toBe(true);
    expect(verifySignature(Buffer.from('{"a":1}'), signature, "s")).toBe(false);
    expect(verifySignature(body, signature.slice(1), "s")).toBe(false);
    expect(verifySignature(body, "", "s")).toBe(false);
  });
});
