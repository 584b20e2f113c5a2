import { expectWellBehaved, onSandboxTime } from "../src/index.ts";
import { expect, test } from "../src/playwright.ts";
import { RenderClient } from "./client.ts";

test("a sandbox, a receiver and time for a test of Playwright", async ({ viralsync, webhooks }) => {
  const client = new RenderClient(viralsync);
  const job = await client.submit(webhooks.url);
  expect(await onSandboxTime(viralsync, () => client.wait(job))).toBe("done");
  expect((await webhooks.waitFor("done", job)).jobId).toBe(job);
  await expectWellBehaved(viralsync);
});

test("each test has a key of its own", async ({ viralsync, request }) => {
  const answer = await request.get(`${viralsync.baseUrl}/v1/jobs`, { headers: { "x-api-key": viralsync.apiKey } });
  expect(((await answer.json()) as { jobs: unknown[] }).jobs).toEqual([]);
});
