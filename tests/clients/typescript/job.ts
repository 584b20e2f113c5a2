// What every generated client does: a job from its submission to its end, read and streamed.
export interface Api<Submission, Event> {
  submit(body: Submission): Promise<string>;
  read(jobId: string): Promise<{ status: string; progress: number; minutes: number | undefined }>;
  stream(jobId: string): Promise<Event[]>;
  missing(jobId: string): Promise<string>;
}

export function parsed<Event>(text: string): Event[] {
  return text
    .split("\n")
    .filter((line) => line.startsWith("data:"))
    .map((line): Event => JSON.parse(line.slice("data:".length)));
}

export async function drive<Submission, Event>(
  api: Api<Submission, Event>,
  movies: Submission[],
  ending: (event: Event) => string,
): Promise<void> {
  const told = [];
  for (const movie of movies) {
    const jobId = await api.submit(movie);
    const events = await api.stream(jobId);
    const job = await api.read(jobId);
    told.push([events.map(ending).at(-1), job.status, job.progress, job.minutes]);
  }
  console.log(JSON.stringify({ told, missing: await api.missing("job_none") }));
}
