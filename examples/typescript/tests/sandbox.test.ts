import { describe, expect } from "vitest";
import { ControlError, expectWellBehaved, Sandbox } from "../src/index.ts";
import { test } from "../src/vitest.ts";
import { RenderClient } from "./client.ts";

describe("a sandbox", () => {
  test("is fresh for each test, and takes options", async ({ viralsync }) => {
    await viralsync.open({ scenario: "quota-exceeded", clock: "frozen", seed: "7" });
    await expect(new RenderClient(viralsync).submit()).rejects.toThrow("402 RENDER_QUOTA_EXCEEDED");
    expect((await viralsync.clock()).mode).toBe("frozen");
    expect((await viralsync.calls()).map((call) => [call.operation, call.status])).toEqual([["submitRenderJob", 402]]);
  });

  test("is moved by advance", async ({ viralsync }) => {
    await viralsync.setClock({ mode: "frozen" });
    const client = new RenderClient(viralsync);
    const job = await client.submit();
    await viralsync.advance(60);
    expect(await client.wait(job)).toBe("done");
  });

  test("has limits that can be used up, an account, scenarios and faults", async ({ viralsync }) => {
    const client = new RenderClient(viralsync);
    await viralsync.exhaust("concurrency");
    await expect(client.submit()).rejects.toThrow("409 CONCURRENCY_LIMIT_EXCEEDED");
    await viralsync.open();
    await viralsync.account({ plan: "free" });
    await expect(client.submit()).rejects.toThrow("403 FORBIDDEN");
    await viralsync.open();
    await viralsync.scenario({ rules: [{ respond: { error: "API_KEY_REVOKED" } }] });
    await expect(client.submit()).rejects.toThrow("401 API_KEY_REVOKED");
    await viralsync.open();
    await viralsync.arm({ fault: { status: 503 }, match: "submitRenderJob", times: 1 });
    await expect(client.submit()).rejects.toThrow("503 SERVICE_UNAVAILABLE");
    await client.submit();
  });

  test("has the whole control API, typed", async ({ viralsync }) => {
    const jobId = await new RenderClient(viralsync).submit();
    const { data } = await viralsync.control.GET("/__mock/jobs/{jobId}", { params: { path: { jobId } } });
    expect(data?.outcome).toBe("done");
  });

  test("says what the mock refuses", async ({ viralsync }) => {
    await expect(viralsync.scenario("hapy")).rejects.toThrow(ControlError);
    await expect(viralsync.scenario("hapy")).rejects.toThrow('Did you mean "happy"?');
  });

  test("keeps other keys out", async ({ viralsync }) => {
    const other = new Sandbox(viralsync.baseUrl);
    expect(other.env.VIRALSYNC_API_KEY).not.toBe(viralsync.apiKey);
    await new RenderClient(viralsync).submit();
    expect(await other.calls()).toEqual([]);
  });
});

describe("the verdict", () => {
  test("names what a client did wrong, and shows the calls", async ({ viralsync }) => {
    await viralsync.scenario("quota-exceeded");
    const client = new RenderClient(viralsync);
    for (let again = 0; again < 3; again++) await client.submit().catch(() => "");
    await expect(expectWellBehaved(viralsync)).rejects.toThrow(
      /does-not-repeat-refused: a call that was refused .*\n {4}call_\w+ POST \/v1\/render\/jobs -> 402/,
    );
    const waived = { "does-not-repeat-refused": "the account changes meanwhile" };
    const verdict = await expectWellBehaved(viralsync, { waived });
    expect(verdict.rules.find((rule) => rule.rule === "does-not-repeat-refused")?.outcome).toBe("waived");
  });
});
