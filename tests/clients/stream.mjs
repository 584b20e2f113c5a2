// A progress stream as a Node program reads it: fetch, and the parsing rules of WHATWG's event stream.
// Used as `node stream.mjs BASE_URL KEY JOB_ID [LAST_EVENT_ID [MOST]]`; prints the events as JSON.
// With MOST it leaves after this many events, as a client does whose connection breaks.
import { follow } from "./reader.mjs";

const [baseUrl, key, jobId, lastEventId = "", most = "Infinity"] = process.argv.slice(2);
const events = [];
for await (const event of follow(baseUrl, key, jobId, lastEventId)) {
  events.push(event);
  if (events.length >= Number(most)) break;
}
console.log(JSON.stringify(events));
