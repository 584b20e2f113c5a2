/** Tests in TypeScript against viralsync-mock. */

export { ControlError, expectWellBehaved, newKey, Sandbox } from "./sandbox.ts";
export type { Call, ClockMode, Delivery, Rule, SandboxOptions, Verdict, VerdictOptions } from "./sandbox.ts";
export { startMock } from "./server.ts";
export type { Mock, MockOptions } from "./server.ts";
export { onSandboxTime, useSandboxTime } from "./time.ts";
export { verifySignature, WebhookReceiver } from "./webhooks.ts";
export type { Received, WebhookEvent } from "./webhooks.ts";
export type { components, paths } from "./control.ts";
