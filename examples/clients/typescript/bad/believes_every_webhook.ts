// Bad: it does not check signatures, so that anybody can report a job as done. Fails refuses-bad-signatures.

import { Client, main } from "../client.js";

class BelievesEveryWebhook extends Client {
  override answer(): number {
    return 200;
  }
}

await main(new BelievesEveryWebhook());
