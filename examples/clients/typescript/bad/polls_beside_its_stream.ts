// Bad: it reads the job after every event of its stream. Fails does-not-poll-while-streaming.

import { Client, type Job, main } from "../client.js";

class PollsBesideItsStream extends Client {
  override async *events(job: string, last: string): AsyncGenerator<[string, Job]> {
    for await (const event of super.events(job, last)) {
      if (event[1].status !== "done") await this.read(job);
      yield event;
    }
  }
}

await main(new PollsBesideItsStream());
