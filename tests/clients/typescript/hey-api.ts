import { type ProgressEvent, type RenderJobSubmission, getJob, streamJobProgress, submitRenderJob } from "./generated/hey-api";
import { client } from "./generated/hey-api/client.gen";
import * as examples from "./examples-hey-api";
import { drive } from "./job";

const [baseUrl, auth] = process.argv.slice(2) as [string, string];
client.setConfig({ baseUrl, auth: (scheme) => (scheme.type === "apiKey" ? auth : undefined) });

function ending(event: ProgressEvent): string {
  switch (event.status) {
    case "done":
      return `done after ${event.mediaData.duration} s`;
    case "failed":
      return event.error;
    case "cancelled":
      return "cancelled";
    default:
      return `still ${event.phase}`;
  }
}

await drive(
  {
    async submit(body: RenderJobSubmission) {
      const { data } = await submitRenderJob({ body, throwOnError: true });
      return data.jobId;
    },
    async read(jobId) {
      const { data } = await getJob({ path: { jobId }, throwOnError: true });
      return { status: data.status, progress: data.progress, minutes: data.mediaData?.duration };
    },
    async stream(jobId) {
      const { stream } = await streamJobProgress({ path: { jobId } });
      const events: ProgressEvent[] = [];
      for await (const event of stream) {
        if (typeof event !== "string") events.push(event);
        if (typeof event !== "string" && ["done", "failed", "cancelled"].includes(event.status)) break;
      }
      return events;
    },
    async missing(jobId) {
      const { error } = await getJob({ path: { jobId } });
      return error?.code ?? "found";
    },
  },
  examples.submissions,
  ending,
);
