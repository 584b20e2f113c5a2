"""Clients that generators make from the spec, driven against the running mock."""

import importlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import pytest
from tests.support.paths import ROOT

SPEC_FILE = ROOT / "openapi.yaml"
MOVIE_FILE = ROOT / "fixtures" / "movies" / "summer-promo.json"
NODE_TOOLS = ROOT / "node_modules" / ".bin"
PACKAGE = "viral_sync_api_client"

has_node = pytest.mark.skipif(
    shutil.which("node") is None or not (NODE_TOOLS / "openapi-typescript").exists(),
    reason="needs Node, and its tools: npm ci",
)

DRIVE_TS = """\
import { readFileSync } from "node:fs";
import type { components, operations } from "./viralsync.js";

type Submission = components["schemas"]["RenderJobSubmission"];
type ProgressEvent = components["schemas"]["ProgressEvent"];
type Answer<Id extends keyof operations, Status extends number> = operations[Id]["responses"] extends {
  [S in Status]: { content: { "application/json": infer Body } };
}
  ? Body
  : never;

const [base, key, movieFile] = process.argv.slice(2) as [string, string, string];

async function send(method: string, path: string, status: number, body?: Submission): Promise<Response> {
  const headers: Record<string, string> = { "x-api-key": key };
  if (body !== undefined) headers["content-type"] = "application/json";
  const init: RequestInit = { method, headers, signal: AbortSignal.timeout(20_000) };
  if (body !== undefined) init.body = JSON.stringify(body);
  const response = await fetch(base + path, init);
  if (response.status !== status) {
    throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
  }
  return response;
}

const submit = async (body: Submission): Promise<Answer<"submitRenderJob", 202>> =>
  (await send("POST", "/v1/render/jobs", 202, body)).json();
const read = async (id: string): Promise<Answer<"getJob", 200>> =>
  (await send("GET", `/v1/jobs/${id}`, 200)).json();

// Each kind of event has its own fields; after a look at `status` the compiler knows which.
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

// @ts-expect-error A scene needs a duration: the types are not merely `any`.
export const refused: Submission = { kind: "movie", projectId: "p", movie: { scenes: [{ id: "a" }] } };

const first = await submit(JSON.parse(readFileSync(movieFile, "utf-8")) as Submission);
let job = await read(first.jobId);
for (let reads = 1; !["done", "failed", "cancelled"].includes(job.status) && reads < 200; reads++) {
  job = await read(first.jobId);
}

const second = await submit({
  kind: "movie",
  projectId: "proj_demo01",
  movie: { scenes: [{ id: "only", duration: 5, layers: [{ type: "text", text: "Hello" }] }] },
  renderOptions: { qualityPreset: null },
});
const stream = await (await send("GET", `/v1/jobs/${second.jobId}/progress`, 200)).text();
const events = stream
  .split("\\n")
  .filter((line) => line.startsWith("data:"))
  .map((line): ProgressEvent => JSON.parse(line.slice("data:".length)));

const scenes = [{ id: "only", duration: 9 }];
const third = await submit({ kind: "movie", projectId: "proj_demo01", movie: { scenes } });
const cancelled: Answer<"cancelJob", 200> = await (
  await send("POST", `/v1/jobs/${third.jobId}/cancel`, 200)
).json();
const page: Answer<"listJobs", 200> = await (await send("GET", "/v1/jobs?limit=2", 200)).json();
const usage: Answer<"getUsage", 200> = await (await send("GET", "/v1/usage", 200)).json();
const deleted: Answer<"deleteJob", 200> = await (await send("DELETE", `/v1/jobs/${third.jobId}`, 200)).json();
const gone: components["schemas"]["ErrorBody"] = await (await send("GET", `/v1/jobs/${third.jobId}`, 404)).json();

console.log(
  JSON.stringify({
    polled: [job.status, job.progress, job.mediaData?.duration],
    streamed: events.map(ending).at(-1),
    cancelled: cancelled.status,
    listed: page.jobs.map((listed) => listed.jobId).join() === [third.jobId, second.jobId].join(),
    more: page.nextCursor !== null,
    minutes: usage.renderMinutes.used,
    deleted: deleted.deleted,
    gone: gone.code,
  }),
);
"""

TSCONFIG = {
    "compilerOptions": {
        "strict": True,
        "exactOptionalPropertyTypes": True,
        "noUncheckedIndexedAccess": True,
        "target": "ES2022",
        "lib": ["ES2023", "DOM"],
        "module": "NodeNext",
        "skipLibCheck": True,
        "typeRoots": [str(ROOT / "node_modules" / "@types")],
        "types": ["node"],
    },
    "files": ["drive.ts"],
}


class LiveServer(Protocol):
    """What the fixture `live_server` gives: a running mock, and fresh keys for it."""

    base_url: str

    def new_key(self) -> str:
        """Return a key whose sandbox nobody has used; its clock mode is `auto`."""


def run(command: Sequence[str | Path], folder: Path) -> str:
    """Run a tool in a folder, demand that it neither fails nor warns, and return what it printed."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        [str(part) for part in command],
        cwd=folder,
        env={**os.environ, "PATH": path, "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    assert "warning" not in done.stdout.lower()
    return done.stdout


class PythonClient:
    """The generated package; its modules are found by their dotted names."""

    def __init__(self, package: str, base_url: str, key: str) -> None:
        self._package = package
        self._client = importlib.import_module(package).AuthenticatedClient(
            base_url=base_url,
            token=key,
            prefix="",
            auth_header_name="x-api-key",
            raise_on_unexpected_status=True,
        )

    def __enter__(self) -> "PythonClient":
        self._client.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._client.__exit__(*error)

    def submit(self, movie_file: Path) -> str:
        """Submit a movie from its file and return the id of the job."""
        models = importlib.import_module(f"{self._package}.models")
        body = models.RenderJobSubmission.from_dict(json.loads(movie_file.read_text("utf-8")))
        return str(self.call("render.submit_render_job", body=body).job_id)

    def call(self, operation: str, *arguments: object, **options: object) -> Any:
        """Call an operation, named by its tag and its module, and return the parsed answer."""
        module = importlib.import_module(f"{self._package}.api.{operation}")
        return module.sync(*arguments, client=self._client, **options)

    def poll(self, job_id: str) -> Any:
        """Read a job until it is terminal; the clock mode `auto` makes each read a step."""
        for _ in range(200):
            job = self.call("jobs.get_job", job_id)
            if job.status in {"done", "failed", "cancelled"}:
                return job
        pytest.fail(f"{job_id} is still {job.status} after 200 reads")


@pytest.fixture(scope="module")
def generated_python(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Generate the Python client once, make it importable, and give its name."""
    folder = tmp_path_factory.mktemp("python-client")
    run(["openapi-python-client", "generate", "--path", SPEC_FILE, "--output-path", folder / "out"], folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder / "out")
        yield PACKAGE
        for name in [name for name in sys.modules if name.split(".")[0] == PACKAGE]:
            del sys.modules[name]


@pytest.fixture
def python_client(generated_python: str, live_server: LiveServer) -> Iterator[PythonClient]:
    """Give the generated client, with a fresh key of the running mock."""
    with PythonClient(generated_python, live_server.base_url, live_server.new_key()) as client:
        yield client


@pytest.fixture(scope="module")
def typescript_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Generate the TypeScript types once, and compile a program that uses them."""
    folder = tmp_path_factory.mktemp("typescript-client")
    (folder / "package.json").write_text('{"type": "module"}', "utf-8")
    (folder / "tsconfig.json").write_text(json.dumps(TSCONFIG), "utf-8")
    (folder / "drive.ts").write_text(DRIVE_TS, "utf-8")
    run([NODE_TOOLS / "openapi-typescript", SPEC_FILE, "-o", folder / "viralsync.ts"], folder)
    run([NODE_TOOLS / "tsc", "--project", "."], folder)
    return folder


def test_the_python_client_is_generated_without_a_warning(generated_python: str) -> None:
    """The generator understands every operation of the spec, and makes a module of each."""
    (folder,) = importlib.import_module(f"{generated_python}.api").__path__
    assert {module.stem for module in Path(folder).glob("*/[!_]*.py")} == {
        "submit_render_job",
        "list_jobs",
        "get_job",
        "stream_job_progress",
        "cancel_job",
        "delete_job",
        "get_me",
        "get_usage",
    }


def test_the_python_client_renders_a_movie(python_client: PythonClient) -> None:
    """A movie is submitted, polled until it is done, and found with its parsed media data."""
    job = python_client.poll(python_client.submit(MOVIE_FILE))
    assert (job.status, job.progress, job.error) == ("done", 1, None)
    assert (job.media_data.duration, job.media_data.width) == (52, 1920)
    assert job.output_url.endswith(f"/{job.job_id}/output.mp4")


def test_the_python_client_lists_and_pays_for_a_movie(python_client: PythonClient) -> None:
    """A job that is done stands in the list, and its minutes in the usage."""
    job = python_client.poll(python_client.submit(MOVIE_FILE))
    page = python_client.call("jobs.list_jobs", limit=10, status=job.status)
    usage = python_client.call("account.get_usage")
    assert ([listed.job_id for listed in page.jobs], page.next_cursor) == ([job.job_id], None)
    assert usage.render_minutes.used == pytest.approx(52 / 60)


def test_the_python_client_reads_a_stream(python_client: PythonClient) -> None:
    """The stream comes as one text; each `data` is a progress event that the models take."""
    job_id = python_client.submit(MOVIE_FILE)
    text = python_client.call("jobs.stream_job_progress", job_id)
    data = [json.loads(line.removeprefix("data:")) for line in text.splitlines() if line.startswith("data:")]
    models = importlib.import_module(f"{PACKAGE}.models")
    first, last = models.JobProgressEvent.from_dict(data[0]), models.JobDoneEvent.from_dict(data[-1])
    assert (first.status, last.status, last.media_data.duration) == ("queued", "done", 52)


def test_the_python_client_knows_the_codes_and_takes_others(generated_python: str) -> None:
    """A known code is of an enumeration, a new one a plain text."""
    models = importlib.import_module(f"{generated_python}.models")
    codes = [models.ErrorBody.from_dict({"error": "x", "code": code}).code for code in ("RATE_LIMITED", "BRAND_NEW")]
    assert codes == [models.ErrorCode.RATE_LIMITED, "BRAND_NEW"]


def test_the_python_client_cancels_and_deletes_a_job(python_client: PythonClient) -> None:
    """A job is cancelled while it is under way, then deleted, then unknown."""
    job_id = python_client.submit(MOVIE_FILE)
    cancelled = python_client.call("jobs.cancel_job", job_id)
    deleted = python_client.call("jobs.delete_job", job_id)
    gone = python_client.call("jobs.get_job", job_id)
    assert (cancelled.status, deleted.deleted, gone.code) == ("cancelled", True, "JOB_NOT_FOUND")


@pytest.mark.needs_node
@has_node
def test_the_typescript_client_drives_whole_jobs(typescript_folder: Path, live_server: LiveServer) -> None:
    """Code checked against the generated types polls, streams, cancels, lists and deletes with fetch."""
    key = live_server.new_key()
    printed = run(["node", "drive.js", live_server.base_url, key, MOVIE_FILE], typescript_folder)
    assert json.loads(printed) == {
        "polled": ["done", 1, 52],
        "streamed": "done after 5 s",
        "cancelled": "cancelled",
        "listed": True,
        "more": True,
        "minutes": pytest.approx(57 / 60),
        "deleted": True,
        "gone": "JOB_NOT_FOUND",
    }
