"""TypeScript clients, generated with defaults: compiled strictly, then driven to the end of a job."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import yaml
from tests.clients.test_generated_clients import NODE_TOOLS, SPEC_FILE, LiveServer, has_node, run
from tests.support.paths import ROOT

SOURCES = Path(__file__).with_name("typescript")
TYPES = {
    "openapi-fetch": 'import type { components } from "./generated/openapi-fetch";\n'
    'type Submission = components["schemas"]["RenderJobSubmission"];\ntype Job = components["schemas"]["Job"];\n'
    'type ErrorBody = components["schemas"]["ErrorBody"];\n',
    "hey-api": 'import type { RenderJobSubmission as Submission, Job, ErrorBody } from "./generated/hey-api";\n',
    "orval": 'import type { RenderJobSubmission as Submission, Job, ErrorBody } from "./generated/orval";\n',
}
COMMANDS = {
    "openapi-fetch": ("openapi-typescript", SPEC_FILE, "-o", "generated/openapi-fetch.ts"),
    "hey-api": ("openapi-ts", "-i", SPEC_FILE, "-o", "generated/hey-api"),
    "orval": ("orval", "--input", SPEC_FILE, "--output", "generated/orval.ts"),
}
OPTIONAL = ("qualityPreset", "requestedConcurrency")
"""May be null: a reading of the documentation that generated types have to allow."""

TSCONFIG = {
    "compilerOptions": {
        **dict.fromkeys(("strict", "noUncheckedIndexedAccess", "noEmit", "skipLibCheck"), True),
        "target": "ES2022",
        "lib": ["ES2023", "DOM", "DOM.Iterable"],
        "types": ["node"],
        "module": "ESNext",
        "moduleResolution": "Bundler",
    },
    "include": ["*.ts"],
}
pytestmark = [pytest.mark.needs_node, has_node]


def examples(client: str) -> str:
    """Return the examples of the spec as a TypeScript module, each with its generated type."""
    document = yaml.safe_load(SPEC_FILE.read_text())
    components = document["components"]
    values = {name: each["value"] for name, each in components["examples"].items()}
    errors = [
        example["value"]
        for response in components["responses"].values()
        for media in response.get("content", {}).values()
        for example in media["examples"].values()
    ]
    submissions = [value for name, value in values.items() if name.endswith("Submission")]
    submissions += [{**each, "renderOptions": dict.fromkeys(OPTIONAL)} for each in submissions]
    named = {
        "submissions: Submission[]": submissions,
        "jobs: Job[]": [value for name, value in values.items() if name.endswith("Job")],
        "errors: ErrorBody[]": errors,
    }
    assert all(named.values())
    return TYPES[client] + "".join(f"export const {name} = {json.dumps(value)};\n" for name, value in named.items())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Generate all clients, and compile them together with the programs that use them."""
    folder = tmp_path_factory.mktemp("clients")
    shutil.copytree(SOURCES, folder, dirs_exist_ok=True)
    (folder / "node_modules").symlink_to(ROOT / "node_modules")
    (folder / "package.json").write_text('{"type": "module"}')
    (folder / "tsconfig.json").write_text(json.dumps(TSCONFIG))
    for client, (tool, *arguments) in COMMANDS.items():
        run([NODE_TOOLS / tool, *arguments], folder)
        (folder / f"examples-{client}.ts").write_text(examples(client))
    run([NODE_TOOLS / "tsc", "--project", "."], folder)
    return folder


@pytest.mark.parametrize("client", list(COMMANDS))
def test_a_generated_client_follows_jobs_to_their_end(client: str, folder: Path, live_server: LiveServer) -> None:
    """The spec's own submissions compile, with null options too, are accepted, streamed with typed events, and done."""
    bundle = [f"{client}.ts", "--bundle", "--platform=node", "--format=esm", f"--outfile={client}.mjs"]
    banner = "--banner:js=import{createRequire}from'module';const require=createRequire(import.meta.url);"
    run([NODE_TOOLS / "esbuild", *bundle, banner, "--log-level=warning"], folder)
    printed = run(["node", f"{client}.mjs", live_server.base_url, live_server.new_key()], folder)
    told = json.loads(printed)
    assert told["missing"] == "JOB_NOT_FOUND"
    assert [each[1:3] for each in told["told"]] == [["done", 1]] * 6
    assert [each[0] for each in told["told"]] == [f"done after {each[3]} s" for each in told["told"]]
