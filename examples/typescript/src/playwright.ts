/** Fixtures for Playwright: `import { test } from "@viralsync/mock-client/playwright"`. */

import { test as base } from "@playwright/test";
import { type Mock, Sandbox, startMock, WebhookReceiver } from "./index.ts";

export const test = base.extend<{ viralsync: Sandbox; webhooks: WebhookReceiver }, { mock: Mock }>({
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

export { expect } from "@playwright/test";
