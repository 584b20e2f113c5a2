/** Fixtures for Playwright: `import { test } from "@viralsync/mock-client/playwright"`. */

import { test as base } from "@playwright/test";
import { mock, type TestFixtures, viralsync, webhooks, type WorkerFixtures } from "./fixtures.ts";

export const test = base.extend<TestFixtures, WorkerFixtures>({
  mock: [mock, { scope: "worker" }],
  viralsync,
  webhooks,
});

export { expect } from "@playwright/test";
