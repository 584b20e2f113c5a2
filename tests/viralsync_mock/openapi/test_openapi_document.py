"""The spec judged as code: its examples, its marks of provenance, its codes, its links."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml
from tests.support.paths import ROOT

from viralsync_mock.openapi.spec import load_spec

SPEC_FILE = ROOT / "openapi.yaml"
MOVIES = sorted((ROOT / "fixtures" / "movies").glob("*.json"))

Node = dict[str, Any]
Place = tuple[str, ...]

OPERATION_IDS = {
    "submitRenderJob",
    "listJobs",
    "getJob",
    "streamJobProgress",
    "cancelJob",
    "deleteJob",
    "getMe",
    "getUsage",
}
PLACEHOLDERS = {
    "VALIDATION_ERROR": {"violations"},
    "UNAUTHORIZED": {"reason"},
    "API_KEY_REVOKED": set(),
    "RENDER_QUOTA_EXCEEDED": {"used", "limit", "resetsAt"},
    "RENDER_QUOTA_DAILY_EXCEEDED": {"used", "limit", "resetsAt"},
    "PLAN_LIMIT_EXCEEDED": {"plan", "reason"},
    "FORBIDDEN": {"plan"},
    "JOB_NOT_FOUND": {"jobId"},
    "NOT_FOUND": {"method", "path"},
    "METHOD_NOT_ALLOWED": {"method", "path", "allow"},
    "CONCURRENCY_LIMIT_EXCEEDED": {"running", "limit"},
    "INVALID_STATE_TRANSITION": {"action", "jobId", "status"},
    "PAYLOAD_TOO_LARGE": {"limit"},
    "RATE_LIMITED": {"retryAfter"},
    "INTERNAL_ERROR": set(),
    "SERVICE_UNAVAILABLE": set(),
}
PLACEHOLDER = re.compile(r"\{(\w+)\}")
METHODS = ("get", "post", "put", "patch", "delete")
EVERYWHERE = {"401", "403", "429", "500", "503"}


@cache
def spec() -> Node:
    """Return the whole document, parsed once."""
    document: Node = yaml.safe_load(SPEC_FILE.read_text("utf-8"))
    return document


def resolve(node: Node) -> Node:
    """Follow `$ref` inside the document until something stands there."""
    while "$ref" in node and node["$ref"].startswith("#/"):
        found: Any = spec()
        for part in node["$ref"][2:].split("/"):
            found = found[part.replace("~1", "/").replace("~0", "~")]
        node = found
    return node


def validator(schema: Node) -> jsonschema_rs.Draft202012Validator:
    """Compile a schema of the document, formats asserted."""
    return jsonschema_rs.Draft202012Validator({**schema, "components": spec()["components"]}, validate_formats=True)


def violations(schema: Node, value: Any) -> list[str]:
    """Say where a value breaks a schema."""
    return [f"{error.instance_path}: {error.message}" for error in validator(schema).iter_errors(value)]


def path_items() -> Iterator[tuple[str, Node]]:
    """Yield every path and webhook with its name."""
    yield from spec()["paths"].items()
    yield from spec()["webhooks"].items()


def operations(*, webhooks: bool = False) -> dict[str, Node]:
    """Map each operationId to its operation."""
    items = path_items() if webhooks else spec()["paths"].items()
    return {item[method]["operationId"]: item[method] for _, item in items for method in METHODS if method in item}


def walk(node: Any, place: Place = ()) -> Iterator[tuple[Place, Node]]:
    """Yield every object of the document with its place, leaving example values out."""
    if isinstance(node, dict):
        yield place, node
        for key, value in node.items():
            if key not in {"value", "example", "default", "x-default", "const", "enum", "x-provenance"}:
                yield from walk(value, (*place, str(key)))
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from walk(value, (*place, str(index)))


def examples() -> Iterator[tuple[str, Node, Any]]:
    """Yield every example of the document with its place and its schema."""
    for place, node in walk(spec()):
        at = "/".join(place)
        if "schema" in node:
            for name, example in node.get("examples", {}).items():
                yield f"{at}/examples/{name}", node["schema"], resolve(example)["value"]
            if "example" in node:
                yield f"{at}/example", node["schema"], node["example"]
        elif isinstance(node.get("examples"), list):
            for index, value in enumerate(node["examples"]):
                yield f"{at}/examples/{index}", node, value
        defaults = {"default", "x-default"} & node.keys() if place[-1:] != ("responses",) else ()
        yield from ((f"{at}/{key}", node, node[key]) for key in sorted(defaults))


def media_types() -> Iterator[tuple[str, Node]]:
    """Yield every body of the document, of requests and of responses."""
    for place, node in walk(spec()):
        if len(place) >= 2 and place[-2] == "content":
            yield "/".join(place), node


def named_parts() -> Iterator[tuple[str, Node]]:
    """Yield operations with their responses, components and entries of root extensions."""
    for name, operation in operations(webhooks=True).items():
        yield name, operation
        yield from ((f"{name} {status}", resolve(part)) for status, part in operation["responses"].items())
    for kind in ("securitySchemes", "parameters", "responses", "headers", "schemas"):
        yield from ((f"{kind}/{name}", part) for name, part in spec()["components"][kind].items())
    for extension in ("x-error-catalogue", "x-job-error-catalogue", "x-plans"):
        yield from ((f"{extension}/{name}", entry) for name, entry in spec()[extension].items())
    yield from ((name, spec()[name]) for name in ("x-rate-limit", "x-body-limit", "x-output-url"))


def nested_parts() -> Iterator[tuple[str, Node]]:
    """Yield properties, headers of responses and parameters of operations, wherever they stand."""
    for place, node in walk(spec()):
        at = "/".join(place)
        if place[-1:] == ("properties",):
            yield from ((f"{at}/{name}", part) for name, part in node.items())
        if place[-1:] == ("headers",):
            yield from ((f"{at}/{name}", resolve(part)) for name, part in node.items())
        if isinstance(node.get("parameters"), list):
            yield from ((at, resolve(part)) for part in node["parameters"])


def things_to_mark() -> Iterator[tuple[str, Node]]:
    """Yield everything that must say how well it is known."""
    yield from named_parts()
    yield from nested_parts()


def is_marked(thing: Node) -> bool:
    """Tell whether a part has a mark of the three, and a page."""
    match thing.get("x-provenance"):
        case {"mark": "D" | "S" | "A", "source": str(source), **rest} if not rest:
            return re.fullmatch(r"(/[a-z-]+)+", source) is not None
    return False


def error_examples(operation: Node) -> Iterator[tuple[str, str, str]]:
    """Yield status, code and text of every error example of an operation."""
    for status, response in operation["responses"].items():
        for media in resolve(response).get("content", {}).values():
            for example in media.get("examples", {}).values():
                value = resolve(example)["value"]
                if status[0] in "45":
                    yield status, value["code"], value["error"]


def template_pattern(text: str) -> str:
    """Turn a text with `{placeholders}` into the pattern of what it may become."""
    return "".join(".+" if part.startswith("{") else re.escape(part) for part in re.split(r"(\{\w+\})", text) if part)


def test_the_document_is_valid_openapi() -> None:
    """The official schema of OpenAPI 3.1 accepts the document."""
    command = shutil.which("openapi-spec-validator", path=Path(sys.executable).parent)
    assert command, "openapi-spec-validator is not installed beside this Python"
    run = subprocess.run([command, str(SPEC_FILE)], capture_output=True, text=True, check=False)
    assert (run.returncode, run.stderr) == (0, ""), run.stdout


def test_the_operations_are_those_of_the_api() -> None:
    """The paths hold the eight operations of the API, by the names that everything else uses."""
    assert operations().keys() == OPERATION_IDS


@pytest.mark.parametrize(("schema", "value"), [pytest.param(s, v, id=i) for i, s, v in examples()])
def test_examples_and_defaults_fit_their_schema(schema: Node, value: Any) -> None:
    """Each example and default is valid against the schema it illustrates, formats included."""
    assert violations(schema, value) == []


def test_the_data_of_stream_examples_is_a_progress_event() -> None:
    """What a stream example carries as data is JSON of the schema that `x-event-schema` names."""
    stream = operations()["streamJobProgress"]["responses"]["200"]["content"]["text/event-stream"]
    texts = [example["value"] for example in stream["examples"].values()]
    data = [json.loads(text.partition("data: ")[2]) for text in texts]
    assert [violations(stream["x-event-schema"], each) for each in data] == [[], [], [], []]
    assert all(text.endswith("}\n\n") for text in texts)


def test_every_body_has_a_named_example() -> None:
    """No request, response or webhook body is left without an example."""
    assert [place for place, media in media_types() if not media.get("examples")] == []


def test_everything_says_how_well_it_is_known() -> None:
    """Each operation, schema, property, parameter, response, header and extension entry has mark and page."""
    assert [place for place, thing in things_to_mark() if not is_marked(thing)] == []


def test_operations_and_properties_are_described() -> None:
    """Each operation has a summary and a description, each property and parameter a description."""
    bare = [name for name, o in operations(webhooks=True).items() if not (o["summary"] and o["description"])]
    for place, thing in things_to_mark():
        if "description" not in resolve(thing) and not place.startswith("x-"):
            bare.append(place)
    assert bare == []


def test_every_code_is_answered_by_an_operation_with_its_status() -> None:
    """Each code of the catalogue has an example in some operation, under the status it has there."""
    paths = [{"responses": item.get("x-responses", {})} for _, item in path_items()]
    seen = {(code, status) for o in (*operations().values(), *paths) for status, code, _ in error_examples(o)}
    catalogue = {(code, str(entry["status"])) for code, entry in spec()["x-error-catalogue"].items()}
    assert catalogue == seen


def test_error_examples_speak_the_texts_of_the_catalogue() -> None:
    """The text of each error example is what the template of its code can become."""
    catalogue = spec()["x-error-catalogue"]
    odd = [
        text
        for operation in operations().values()
        for _, code, text in error_examples(operation)
        if not re.fullmatch(template_pattern(catalogue[code]["text"]), text)
    ]
    assert odd == []


@pytest.mark.parametrize("code", sorted(PLACEHOLDERS))
def test_texts_use_the_placeholders_that_code_fills(code: str) -> None:
    """A template names exactly the placeholders for which the mock has values."""
    text = spec()["x-error-catalogue"][code]["text"]
    assert set(PLACEHOLDER.findall(text)) == PLACEHOLDERS[code]


def test_the_documented_placeholders_are_those_of_the_catalogue() -> None:
    """The table in docs/spec-extensions.md lists each code with its placeholders."""
    table = (ROOT / "docs" / "spec-extensions.md").read_text("utf-8")
    rows = []
    for code, entry in spec()["x-error-catalogue"].items():
        names = [f"`{name}`" for name in PLACEHOLDER.findall(entry["text"])]
        rows.append(f"| `{code}` | {' '.join(names) or 'none'} |")
    assert [row for row in rows if row not in table] == []


def test_every_extension_is_documented() -> None:
    """Each `x-` key of the document has a section in docs/spec-extensions.md."""
    used = {key for _, node in walk(spec()) for key in node if key.startswith("x-")}
    used -= {"x-api-key", "x-render-signature"}
    text = (ROOT / "docs" / "spec-extensions.md").read_text("utf-8")
    assert used == set(re.findall(r"^## (x-[a-z-]+)$", text, flags=re.MULTILINE))


@pytest.mark.parametrize("name", sorted(OPERATION_IDS))
def test_operations_declare_every_status_they_can_answer(name: str) -> None:
    """The statuses that any operation may answer are declared on each."""
    assert operations()[name]["responses"].keys() >= EVERYWHERE


def test_statuses_of_single_operations_are_declared() -> None:
    """Invalid and large bodies, quota, unknown jobs and wrong states are declared exactly where they can happen."""
    declared = {
        status: {name for name, o in operations().items() if status in o["responses"]}
        for status in ("400", "402", "404", "405", "409", "413")
    }
    assert declared == {
        "400": {"submitRenderJob", "listJobs"},
        "405": set(),
        "413": {"submitRenderJob"},
        "402": {"submitRenderJob"},
        "404": {"getJob", "streamJobProgress", "cancelJob", "deleteJob"},
        "409": {"submitRenderJob", "cancelJob", "deleteJob"},
    }


def test_the_mock_may_answer_each_call_with_400_405_and_413() -> None:
    """What no proper call gets is declared for each path, and read as if each operation declared it."""
    read = load_spec(SPEC_FILE).operations.values()
    assert {each.id for each in read if {400, 405, 413} <= each.responses.keys()} == OPERATION_IDS


def test_a_refusal_that_asks_to_wait_or_to_change_method_says_how() -> None:
    """429 requires a whole-number `Retry-After`, 405 requires `Allow`."""
    components = spec()["components"]
    responses = {**components["responses"], **components["x-responses"]}
    retry_after = resolve(responses["RateLimited"]["headers"]["Retry-After"])
    allow = resolve(responses["MethodNotAllowed"]["headers"]["Allow"])
    assert (retry_after["required"], retry_after["schema"]["type"]) == (True, "integer")
    assert allow["required"] is True


def links(operation: Node) -> Iterator[Node]:
    """Yield the links of an operation's successes."""
    for status, response in operation["responses"].items():
        if status.startswith("2"):
            yield from response.get("links", {}).values()


@pytest.mark.parametrize("name", sorted(OPERATION_IDS))
def test_every_operation_links_to_operations_that_exist(name: str) -> None:
    """From each operation links lead on, to operations and parameters that are there."""
    targets = [link["operationId"] for link in links(operations()[name])]
    assert targets
    assert OPERATION_IDS.issuperset(targets)


def test_a_submission_links_to_everything_a_job_can_undergo() -> None:
    """The answer to a submission leads to reading, watching, cancelling and deleting the job."""
    targets = {link["operationId"] for link in links(operations()["submitRenderJob"])}
    assert targets >= {"getJob", "streamJobProgress", "cancelJob", "deleteJob"}


def test_no_link_leads_from_a_list_to_the_loss_of_a_job() -> None:
    """Whoever follows links from a list never cancels or deletes a job that was there before."""
    reached, todo = set(), ["listJobs"]
    while todo:
        name = todo.pop()
        if name not in reached:
            reached.add(name)
            todo += [link["operationId"] for link in links(operations()[name])]
    assert reached.isdisjoint({"cancelJob", "deleteJob"})


def test_webhooks_are_also_the_callbacks_of_a_submission() -> None:
    """Each webhook is a callback to `callbackUrl`, and is signed."""
    callbacks = operations()["submitRenderJob"]["callbacks"]
    assert callbacks == {
        name: {"{$request.body#/callbackUrl}": {"$ref": f"#/webhooks/{name}"}} for name in spec()["webhooks"]
    }
    hooks = [item["post"] for item in spec()["webhooks"].values()]
    assert {resolve(part)["name"] for hook in hooks for part in hook["parameters"]} == {"x-render-signature"}


def test_each_progress_event_is_of_one_kind_only() -> None:
    """An example of one kind of event is refused by the schemas of the three others."""
    kinds = {item["post"]["operationId"]: item["post"] for item in spec()["webhooks"].values()}
    bodies = {name: post["requestBody"]["content"]["application/json"] for name, post in kinds.items()}
    accepted = {
        (name, other)
        for name, body in bodies.items()
        for example in body["examples"].values()
        for other, its in bodies.items()
        if validator(its["schema"]).is_valid(example["value"])
    }
    assert accepted == {(name, name) for name in kinds}


def test_objects_are_left_open() -> None:
    """No schema refuses unknown fields: the API may add some unannounced."""
    assert ["/".join(place) for place, node in walk(spec()) if node.get("additionalProperties") is False] == []


def test_optional_fields_of_a_submission_may_be_null() -> None:
    """Null for an optional field of the request is as good as leaving it out."""
    schemas = spec()["components"]["schemas"]
    strict = [
        f"{name}.{field}"
        for name in ("RenderJobSubmission", "Movie", "Scene", "Layer", "RenderOptions")
        for field, schema in schemas[name]["properties"].items()
        if field not in schemas[name].get("required", []) and not validator(schema).is_valid(None)
    ]
    assert strict == []


def test_a_job_id_in_a_path_is_opaque() -> None:
    """Any text that is not empty may be asked for; only the server knows which ids exist."""
    assert spec()["components"]["parameters"]["JobId"]["schema"] == {"type": "string", "minLength": 1}


def test_presets_and_plans_are_named_alike_everywhere() -> None:
    """The workers of the presets and the entries of the plans have the names that the schemas allow."""
    schemas = spec()["components"]["schemas"]
    assert list(schemas["QualityPreset"]["x-workers"]) == schemas["QualityPreset"]["enum"]
    assert list(spec()["x-plans"]) == schemas["Plan"]["enum"]


def test_the_example_key_form_is_a_pattern() -> None:
    """The form of an API key accepts a key of the documented form and refuses another."""
    pattern = spec()["components"]["securitySchemes"]["apiKeyHeader"]["x-key-pattern"]
    assert re.fullmatch(pattern, "vs_prod_" + "a1" * 16)
    assert not re.fullmatch(pattern, "vs_prod_" + "A1" * 16)


@pytest.mark.parametrize("file", MOVIES, ids=lambda file: file.stem)
def test_shipped_movies_can_be_submitted(file: Path) -> None:
    """Each movie that ships with the kit is a valid submission with scenes of different ids."""
    body = json.loads(file.read_text("utf-8"))
    ids = [scene["id"] for scene in body["movie"]["scenes"]]
    assert violations({"$ref": "#/components/schemas/RenderJobSubmission"}, body) == []
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("file", MOVIES, ids=lambda file: file.stem)
def test_shipped_movies_fit_plan_pro(file: Path) -> None:
    """Each movie that ships with the kit is within the length and the frame of plan Pro."""
    movie = json.loads(file.read_text("utf-8"))["movie"]
    plan = spec()["x-plans"]["pro"]
    frame = sorted([movie.get("width", 1920), movie.get("height", 1080)])
    assert sum(scene["duration"] for scene in movie["scenes"]) <= plan["longestMovieSeconds"]
    assert all(side <= most for side, most in zip(frame, sorted(plan["largestFrame"].values()), strict=True))


def plan_row(name: str, plan: Node) -> list[str]:
    """Return a plan as the table of the description shows it."""
    frame, minutes = plan["largestFrame"], plan["renderMinutesPerMonth"]
    limits = [plan["usdPerMonth"], minutes or "unlimited", plan["renderMinutesPerDay"] or "none"]
    longest, jobs = f"{plan['longestMovieSeconds'] // 60} min", plan["jobsAtOnce"] or "unlimited"
    rest = "yes" if plan["rest"] else "no"
    return [f"`{name}`", *map(str, limits), longest, f"{frame['width']}x{frame['height']}", str(jobs), rest]


def test_a_viewer_shows_the_plans_and_limits() -> None:
    """The tables of the description are those of the extensions, which viewers pass over."""
    text = spec()["info"]["description"]
    rows = [[cell.strip() for cell in line.strip("| ").split("|")] for line in text.splitlines() if "|" in line]
    assert [plan_row(name, plan) for name, plan in spec()["x-plans"].items()] == [r for r in rows if len(r) == 8][2:]
    rate = spec()["x-rate-limit"]
    assert f"{rate['requests']} requests in any {rate['windowSeconds']} seconds" in text.replace("\n", " ")
    assert f"{spec()['x-body-limit']['bytes']} bytes" in text
    presets = spec()["components"]["schemas"]["QualityPreset"]
    assert all(f"{number} with `{name}`" in presets["description"] for name, number in presets["x-workers"].items())
