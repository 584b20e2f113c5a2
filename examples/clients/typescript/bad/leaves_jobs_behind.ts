// Bad: it gives a job up without cancelling it. Fails cancels-what-it-abandons.

import { Client, main } from "../client.js";

class LeavesJobsBehind extends Client {
  override async giveUp(): Promise<string> {
    return "cancelled";
  }
}

await main(new LeavesJobsBehind());
