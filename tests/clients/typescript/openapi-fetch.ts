import createClient from "openapi-fetch";
import type { components, paths } from "./generated/openapi-fetch";
import * as examples from "./examples-openapi-fetch";
import { drive, parsed } from "./job";

type ProgressEvent = components["schemas"]["ProgressEvent"];

const [baseUrl, key] = process.argv.slice(2) as [string, string];
const client = createClient<paths>({ baseUrl, headers: { "x-api-key": key } });

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
    async submit(body: components["schemas"]["RenderJobSubmission"]) {
      const { data, error } = await client.POST("/v1/render/jobs", { body });
      if (error) throw new Error(error.error);
      return data.jobId;
    },
    async read(jobId) {
      const { data, error } = await client.GET("/v1/jobs/{jobId}", { params: { path: { jobId } } });
      if (error) throw new Error(error.error);
      return { status: data.status, progress: data.progress, minutes: data.mediaData?.duration };
    },
    async stream(jobId) {
      const params = { path: { jobId } };
      const { data, error } = await client.GET("/v1/jobs/{jobId}/progress", { params, parseAs: "text" });
      if (error) throw new Error(error.error);
      return typeof data === "string" ? parsed<ProgressEvent>(data) : [data];
    },
    async missing(jobId) {
      const { error } = await client.GET("/v1/jobs/{jobId}", { params: { path: { jobId } } });
      return error?.code ?? "found";
    },
  },
  examples.submissions,
  ending,
);
