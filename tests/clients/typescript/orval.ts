import axios, { isAxiosError } from "axios";
import { type ErrorBody, type ProgressEvent, type RenderJobSubmission, getJob, streamJobProgress, submitRenderJob } from "./generated/orval";
import * as examples from "./examples-orval";
import { drive, parsed } from "./job";

const [baseURL, key] = process.argv.slice(2) as [string, string];
Object.assign(axios.defaults, { baseURL });
axios.defaults.headers.common["x-api-key"] = key;

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
    submit: async (body: RenderJobSubmission) => (await submitRenderJob(body)).data.jobId,
    async read(jobId) {
      const { data } = await getJob(jobId);
      return { status: data.status, progress: data.progress, minutes: data.mediaData?.duration };
    },
    async stream(jobId) {
      const { data } = await streamJobProgress(jobId);
      return typeof data === "string" ? parsed<ProgressEvent>(data) : [data];
    },
    async missing(jobId) {
      try {
        await getJob(jobId);
        return "found";
      } catch (error) {
        return isAxiosError<ErrorBody>(error) ? (error.response?.data.code ?? "no body") : "no answer";
      }
    },
  },
  examples.submissions,
  ending,
);
