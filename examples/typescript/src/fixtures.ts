/** The fixtures that vitest and Playwright share: both extend their `test` by the same functions. */

import { type Mock, Sandbox, startMock, WebhookReceiver } from "./index.ts";

export interface TestFixtures {
  /** A fresh sandbox: its own key, jobs, clock and limits. */
  viralsync: Sandbox;
  /** A receiver of webhooks. */
  webhooks: WebhookReceiver;
}

export interface WorkerFixtures {
  /** The mock of this worker. */
  mock: Mock;
}

type Use<T> = (value: T) => Promise<void>;

// each names what it needs in a pattern, which both frameworks read
export async function mock({}: object, use: Use<Mock>): Promise<void> {
  const started = await startMock();
  await use(started);
  await started.stop();
}

export async function viralsync({ mock }: WorkerFixtures, use: Use<Sandbox>): Promise<void> {
  const sandbox = new Sandbox(mock.baseUrl);
  await sandbox.open();
  await use(sandbox);
  await sandbox.reset();
}

export async function webhooks({}: object, use: Use<WebhookReceiver>): Promise<void> {
  const receiver = await new WebhookReceiver().start();
  await use(receiver);
  await receiver.close();
}
