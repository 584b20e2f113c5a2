/** Fixtures for vitest: `import { test } from "@viralsync/mock-client/vitest"`. */

import { test as base } from "vitest";
import { mock, type TestFixtures, viralsync, webhooks, type WorkerFixtures } from "./fixtures.ts";

export type Fixtures = TestFixtures & WorkerFixtures;

export const test = base.extend<Fixtures>({
  mock: [mock, { scope: "worker" }],
  viralsync,
  webhooks,
});
