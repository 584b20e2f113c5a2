// Bad: it opens a broken stream again without Last-Event-ID. Fails resumes-dropped-streams.

import { Client, main } from "../client.js";

class ResumesFromTheStart extends Client {
  override resumeHeaders(): Record<string, string> {
    return {};
  }
}

await main(new ResumesFromTheStart());
