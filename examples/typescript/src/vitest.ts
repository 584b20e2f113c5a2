/** Fixtures for vitest: `import { test } from "@viralsync/mock-client/vitest"`. */

import { test as base } from "vitest";
import { type Mock, Sandbox, startMock, WebhookReceiver } from "./index.ts";

export interface Fixtures {
  /** The mock of this worker. */
  mock: Mock;
  /** A fresh sandbox: its own key, jobs, clock and limits. */
  viralsync: Sandbox;
  /** A receiver of webhooks. */
  webhooks: WebhookReceiver;
}

export const test = base.extend<Fixtures>({
  mock: [
    async ({}, use) => {
      const mock = await startMock();
      await use(mock);
      await mock.stop();
    },
    { scope: "worker" },
  ],
  viralsync: async ({ mock }, use) => {
    const sandbox = new Sandbox(mock.baseUrl);
    await sandbox.open();
    await use(sandbox);
    await sandbox.reset();
  },
  webhooks: async ({}, use) => {
    const receiver = await new WebhookReceiver().start();
    await use(receiver);
    await receiver.close();
  },
});
