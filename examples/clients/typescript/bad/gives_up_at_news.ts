// Bad: it takes a status that it does not know for the end. Fails ignores-unknown-statuses.

import { Client, main } from "../client.js";

const UNFINISHED = ["queued", "running", "waiting"];

class GivesUpAtNews extends Client {
  override isOver(status: string): boolean {
    return !UNFINISHED.includes(status);
  }
}

await main(new GivesUpAtNews());
