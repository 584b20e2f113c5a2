"""What changes in the spec changes in the mock, without a line of Python."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
import yaml
from tests.conftest import LiveServer, movie, shipped

from viralsync_mock.app import create_app
from viralsync_mock.clock import Mode
from viralsync_mock.errors import SpecError
from viralsync_mock.settings import Settings

SUBMIT = "/v1/render/jobs"
REVIEW = """
post:
  operationId: reviewTemplate
  parameters:
    - {name: templateId, in: path, required: true, schema: {type: string, minLength: 3}}
    - {name: depth, in: query, required: true, schema: {type: integer, minimum: 1, maximum: 9}}
    - {name: tag, in: query, schema: {type: array, items: {enum: [new, old]}}}
    - {name: X-Trace, in: header, schema: {type: string, pattern: '^[0-9]+$'}}
  requestBody:
    required: true
    content:
      application/json:
        schema:
          type: object
          required: [stars]
          additionalProperties: false
          properties:
            stars: {type: integer, minimum: 1, maximum: 5}
            mood: {enum: [happy, sad]}
  responses:
    '201':
      description: Kept.
      content:
        application/json:
          schema:
            type: object
            required: [id, author, email, stars, tags]
            properties:
              id: {type: string, format: uuid}
              author: {type: string, minLength: 1}
              email: {type: string, format: email}
              stars: {type: integer, minimum: 1, maximum: 5}
              tags: {type: array, minItems: 2, maxItems: 3, items: {enum: [new, old]}}
    '400': {$ref: '#/components/responses/BadRequest'}
    '401': {$ref: '#/components/responses/Unauthorized'}
    '403': {$ref: '#/components/responses/Forbidden'}
    '405': {$ref: '#/components/x-responses/MethodNotAllowed'}
    '413': {$ref: '#/components/responses/PayloadTooLarge'}
    '429': {$ref: '#/components/responses/RateLimited'}
"""
HEALTH = """
get:
  operationId: getHealth
  security: []
  responses:
    '200':
      description: Fine.
      content:
        application/json:
          schema: {type: object, required: [status], properties: {status: {const: ok}, region: {type: string}}}
          example: {status: ok, region: eu}
"""
PURGE = """
delete:
  operationId: purgeTemplates
  responses:
    '204': {description: Gone.}
    '401': {$ref: '#/components/responses/Unauthorized'}
"""


@cache
def original() -> bytes:
    """Return the spec as JSON, which is quicker to copy than to read again."""
    return orjson.dumps(yaml.load(shipped("openapi.yaml").read_text(), yaml.CSafeLoader))


@dataclass
class Copy:
    """A copy of the spec in a folder of its own; `change` is written at once."""

    path: Path

    def change(self, *trail: str, to: Any) -> None:
        """Set what is at the end of a trail of keys."""
        document = self.document
        place = document
        for key in trail[:-1]:
            place = place[key]
        place[trail[-1]] = to
        self.write(document)

    @property
    def document(self) -> Any:
        """What the file holds now."""
        return orjson.loads(self.path.read_bytes()) if self.path.exists() else orjson.loads(original())

    def write(self, document: Any) -> None:
        """Write the file anew; JSON is YAML too."""
        self.path.write_bytes(orjson.dumps(document, option=orjson.OPT_INDENT_2))

    def settings(self, **options: Any) -> Settings:
        """Return settings for a mock of this spec."""
        return Settings(**{"spec": self.path, "clock": Mode.AUTO, "check_answers": True, **options})


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    """Return a copy of the spec."""
    copied = Copy(tmp_path / "openapi.yaml")
    copied.write(copied.document)
    return copied


@pytest.fixture
def start(start_mock: Callable[[Settings], LiveServer]) -> Iterator[Callable[[Copy], LiveServer]]:
    """Yield a function that starts a mock of a copy; it may not break its own spec."""
    servers: list[LiveServer] = []

    def started(copy: Copy) -> LiveServer:
        servers.append(start_mock(copy.settings()))
        return servers[-1]

    yield started
    assert [bug for server in servers for bug in server.bugs] == []


Start = Callable[[Copy], LiveServer]


@pytest.fixture
def reviews(copy: Copy, start: Start) -> Iterator[tuple[LiveServer, httpx.Client]]:
    """Yield a mock of a spec with one more operation, which has neither handler nor example."""
    copy.change("paths", "/v1/templates/{templateId}/reviews", to=yaml.safe_load(REVIEW))
    server = start(copy)
    with server.client() as client:
        yield server, client


def review(client: httpx.Client, template: str = "summer", depth: str = "2", **body: Any) -> httpx.Response:
    """Call the added operation."""
    return client.post(f"/v1/templates/{template}/reviews?depth={depth}", json={"stars": 5, **body})


# An operation more


def test_an_added_operation_answers_with_data_of_its_schema(reviews: tuple[LiveServer, httpx.Client]) -> None:
    """The lowest success, with every required property; the mock checks the rest against the spec itself."""
    answer = review(reviews[1])
    body = answer.json()
    assert (answer.status_code, answer.headers["content-type"]) == (201, "application/json")
    assert {"id", "author", "email", "stars", "tags"} <= set(body)
    assert ("@" in body["email"], 1 <= body["stars"] <= 5, set(body["tags"]) <= {"new", "old"}) == (True, True, True)


def test_an_added_operation_answers_the_same_again(reviews: tuple[LiveServer, httpx.Client]) -> None:
    """The data depends on the key and the path, and on nothing else."""
    server, client = reviews
    with server.client() as other:
        told = [review(who, path).json() for who, path in ((client, "one"), (client, "two"), (other, "one"))]
    assert (review(client, "one").json(), review(client, "one", mood="sad").json()) == (told[0], told[0])
    assert told[0] not in told[1:]


def test_an_added_operation_answers_by_the_seed(copy: Copy, start_mock: Callable[[Settings], LiveServer]) -> None:
    """The same seed and key give the same data on every server, another seed other data."""
    copy.change("paths", "/v1/templates/{templateId}/reviews", to=yaml.safe_load(REVIEW))
    told = []
    for seed in ("1", "1", "2"):
        with start_mock(copy.settings(seed=seed)).client("vs_prod_" + "9" * 32) as client:
            told.append(review(client).json())
    assert told[0] == told[1]
    assert told[0] != told[2]


@pytest.mark.parametrize(
    ("template", "depth", "body", "told"),
    [
        ("ab", "2", {}, "path.templateId: expected at least 3 characters"),
        ("summer", "0", {}, "query.depth: expected at least 1, got 0"),
        ("summer", "x", {}, "query.depth: expected an integer"),
        ("summer", "2&tag=new&tag=nwe", {}, 'query.tag[1]: expected one of "new", "old"'),
        ("summer", "2", {"stars": 6}, "$.stars: expected at most 5, got 6"),
        ("summer", "2", {"mood": "hapy"}, 'Did you mean "happy"?'),
        ("summer", "2", {"star": 1}, 'Did you mean "stars"?'),
    ],
)
def test_the_requests_of_an_added_operation_are_validated(
    reviews: tuple[LiveServer, httpx.Client], template: str, depth: str, body: dict[str, Any], told: str
) -> None:
    """Path, query and body are held against the new schema as against any other."""
    answer = review(reviews[1], template, depth, **body)
    assert (answer.status_code, answer.json()["code"]) == (400, "VALIDATION_ERROR")
    assert told in answer.json()["error"]


def test_what_an_added_operation_requires_is_required(reviews: tuple[LiveServer, httpx.Client]) -> None:
    """A query parameter, a header's form, and a body, all told at once."""
    answer = reviews[1].post("/v1/templates/summer/reviews", headers={"x-trace": "abc"})
    assert answer.status_code == 400
    assert "query.depth: required, but missing" in answer.json()["error"]
    assert ["header.X-Trace: " in answer.text, "$: expected a JSON body" in answer.text] == [True, True]


def test_an_added_operation_is_behind_key_limit_and_plan(reviews: tuple[LiveServer, httpx.Client]) -> None:
    """All checks of the path of a request hold for it."""
    server, client = reviews
    with server.client(plan="free") as free, server.client(scenario="rate-limited", clock="frozen") as busy:
        answers = [review(client), review(free), *(review(busy) for _ in range(4))]
        answers += [client.post("/v1/templates/summer/reviews?depth=2", headers={"x-api-key": "x"}, json={})]
        answers += [client.get("/v1/templates/summer/reviews"), client.get("/v1/templates")]
    assert [answer.status_code for answer in answers] == [201, 403, 201, 201, 201, 429, 401, 405, 404]


def test_an_added_operation_without_security_needs_no_key(copy: Copy, start: Start) -> None:
    """It answers its example to everybody, also with a wrong or revoked key, and costs none of the rate limit."""
    copy.change("paths", "/v1/health", to=yaml.safe_load(HEALTH))
    server = start(copy)
    keys = ["", "wrong", server.new_key(), server.new_key(plan="free"), server.new_key(scenario="revoked-key")]
    with httpx.Client(base_url=server.base_url) as anyone, server.client(scenario="rate-limited") as busy:
        answers = [anyone.get("/v1/health", headers={"x-api-key": key} if key else {}) for key in keys]
        answers += [busy.get("/v1/health") for _ in range(5)]
    assert [answer.status_code for answer in answers] == [200] * 10
    assert {answer.text for answer in answers} == {'{"status":"ok","region":"eu"}'}


def test_an_added_operation_without_an_answer_s_body_has_none(copy: Copy, start: Start) -> None:
    """204 is 204."""
    copy.change("paths", "/v1/templates", to=yaml.safe_load(PURGE))
    with start(copy).client() as client:
        answer = client.delete("/v1/templates")
    assert (answer.status_code, answer.content, "content-type" in answer.headers) == (204, b"", False)


def test_an_added_method_stands_beside_those_that_have_a_handler(copy: Copy, start: Start) -> None:
    """`Allow` lists it, and the other methods of the path go on as before."""
    operation = {**yaml.safe_load(PURGE)["delete"], "operationId": "purgeJobs"}
    copy.change("paths", "/v1/jobs", "delete", to=operation)
    with start(copy).client() as client:
        answers = [client.delete("/v1/jobs"), client.get("/v1/jobs"), client.put("/v1/jobs")]
    assert [answer.status_code for answer in answers] == [204, 200, 405]
    assert answers[2].headers["allow"] == "DELETE, GET, HEAD, OPTIONS"


def test_an_operation_that_is_gone_from_the_spec_is_gone(copy: Copy, start: Start) -> None:
    """A handler without an operation answers nothing."""
    document = copy.document
    del document["paths"]["/v1/usage"]
    links = document["paths"]["/v1/me"]["get"]["responses"]["200"].pop("links")
    copy.write(document)
    with start(copy).client() as client:
        answer = client.get("/v1/usage")
    assert ("getUsage" in links, answer.status_code, answer.json()["code"]) == (True, 404, "NOT_FOUND")


# Other figures


def test_another_rate_limit_holds(copy: Copy, start: Start) -> None:
    """Two requests in ten seconds, and the wait is counted from there."""
    copy.change("x-rate-limit", to={"requests": 2, "windowSeconds": 10})
    with start(copy).client(clock="frozen") as client:
        answers = [client.get("/v1/me") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[2].headers["retry-after"] == "10"


def test_another_plan_holds(copy: Copy, start: Start) -> None:
    """Jobs at once, frame, length and quota are the plan's as the spec has it now."""
    frame = {"width": 640, "height": 360}
    figures = {"jobsAtOnce": 1, "largestFrame": frame, "longestMovieSeconds": 5, "renderMinutesPerMonth": 7}
    copy.change("x-plans", "pro", to={**copy.document["x-plans"]["pro"], **figures})
    short = {"width": 640, "height": 360, "scenes": [{"id": "a", "duration": 5}]}
    with start(copy).client(clock="frozen") as client:
        answers = [client.post(SUBMIT, json=movie(movie={**short, **more})) for more in ({"width": 641}, {}, {})]
        usage = client.get("/v1/usage").json()
    assert [answer.status_code for answer in answers] == [402, 202, 409]
    assert "at most 640x360" in answers[0].json()["error"]
    assert (usage["renderMinutes"]["limit"], usage["concurrentJobs"]["limit"]) == (7, 1)


def test_an_added_plan_can_be_had(copy: Copy, start: Start) -> None:
    """A plan is nothing but a row of the spec."""
    document = copy.document
    document["x-plans"]["studio"] = {**document["x-plans"]["pro"], "jobsAtOnce": 9}
    document["components"]["schemas"]["Plan"]["enum"].append("studio")
    copy.write(document)
    with start(copy).client(plan="studio") as client:
        assert client.get("/v1/me").json()["plan"] == "studio"
        assert client.get("/v1/usage").json()["concurrentJobs"]["limit"] == 9


def test_a_plan_that_gains_the_rest_api_is_let_in(copy: Copy, start: Start) -> None:
    """Which plans are too low is not known to Python."""
    copy.change("x-plans", "free", "rest", to=True)
    copy.change("x-plans", "pro", "rest", to=False)
    server = start(copy)
    with server.client(plan="free") as free, server.client() as pro:
        assert (free.get("/v1/me").status_code, pro.get("/v1/me").status_code) == (200, 403)


def test_another_body_limit_holds(copy: Copy, start: Start) -> None:
    """The limit and its text come from the spec."""
    copy.change("x-body-limit", "bytes", to=300)
    body = orjson.dumps(movie()).ljust(301)
    with start(copy).client() as client:
        headers = {"content-type": "application/json"}
        answers = [client.post(SUBMIT, content=body[:size], headers=headers) for size in (300, 301)]
    assert [answer.status_code for answer in answers] == [202, 413]
    assert answers[1].json()["error"] == "The body is larger than 300 bytes."


# Other words


def test_another_text_and_status_of_an_error_are_told(copy: Copy, start: Start) -> None:
    """Texts are templates of the spec, statuses are its too."""
    entry = {**copy.document["x-error-catalogue"]["JOB_NOT_FOUND"], "status": 400, "text": "No {jobId} {here}!"}
    copy.change("x-error-catalogue", "JOB_NOT_FOUND", to=entry)
    with start(copy).client() as client:
        answer = client.get("/v1/jobs/job_1")
    assert (answer.status_code, answer.json()) == (400, {"error": "No job_1 {here}!", "code": "JOB_NOT_FOUND"})


def test_another_default_and_range_of_a_parameter_hold(copy: Copy, start: Start) -> None:
    """A page is as long as the spec says."""
    copy.change("components", "parameters", "Limit", "schema", to={"type": "integer", "maximum": 150, "default": 2})
    with start(copy).client(plan="enterprise") as client:
        for _ in range(3):
            client.post(SUBMIT, json=movie())
        assert len(client.get("/v1/jobs").json()["jobs"]) == 2
        assert [client.get(f"/v1/jobs?limit={limit}").status_code for limit in (150, 151)] == [200, 400]


def test_a_default_that_is_taken_away_leaves_one_page(copy: Copy, start: Start) -> None:
    """Without a default for `limit` a list that names none is whole."""
    copy.change("components", "parameters", "Limit", "schema", to={"type": "integer"})
    with start(copy).client(plan="enterprise", clock="frozen") as client:
        ids = [client.post(SUBMIT, json=movie()).json()["jobId"] for _ in range(30)]
        page = client.get("/v1/jobs").json()
    assert [job["jobId"] for job in page["jobs"]] == ids[::-1]
    assert page["nextCursor"] is None


def test_another_default_of_the_movie_holds(copy: Copy, start: Start) -> None:
    """The frame of a movie that names none is the spec's."""
    copy.change("components", "schemas", "Movie", "properties", "width", "default", to=800)
    copy.change("x-output-url", "template", to="https://cdn.example/{jobId}.mov")
    with start(copy).client(scenario="instant") as client:
        made = client.post(SUBMIT, json=movie()).json()["jobId"]
        job = client.get(f"/v1/jobs/{made}").json()
    assert (job["mediaData"]["width"], job["mediaData"]["height"]) == (800, 1080)
    assert job["outputUrl"] == f"https://cdn.example/{made}.mov"


def test_another_preset_and_its_workers_hold(copy: Copy, start: Start) -> None:
    """A preset is a name with a number of workers: one at a time, the three scenes take 18.5 seconds."""
    document = copy.document
    preset = document["components"]["schemas"]["QualityPreset"]
    preset["enum"].append("gentle")
    preset["x-workers"]["gentle"] = 1
    copy.write(document)
    with start(copy).client() as client:
        body = movie(renderOptions={"qualityPreset": "gentle"})
        path = f"/v1/jobs/{client.post(SUBMIT, json=body).json()['jobId']}"
        job = [client.get(path).json() for _ in range(30)][-1]
    assert job["updatedAt"] == "2026-01-01T00:00:26.300Z"


def test_another_form_of_keys_holds(copy: Copy, start: Start) -> None:
    """What a key looks like is in the spec."""
    copy.change("components", "securitySchemes", "apiKeyHeader", "x-key-pattern", to="^sk-[0-9]{3}$")
    server = start(copy)
    with server.client("sk-123") as new, server.client("vs_prod_" + "a" * 32) as old:
        assert (new.get("/v1/me").status_code, old.get("/v1/me").status_code) == (200, 401)


def test_a_status_that_no_job_has_gives_an_empty_page(copy: Copy, start: Start) -> None:
    """The spec may know more than the mock."""
    document = copy.document
    document["components"]["schemas"]["JobStatus"]["enum"].append("paused")
    copy.write(document)
    with start(copy).client() as client:
        client.post(SUBMIT, json=movie())
        answer = client.get("/v1/jobs?status=paused")
    assert (answer.status_code, answer.json()) == (200, {"jobs": [], "nextCursor": None})


def test_an_added_rule_of_a_schema_holds(copy: Copy, start: Start) -> None:
    """A project id of another form is refused once the spec says so."""
    document = copy.document
    document["components"]["schemas"]["RenderJobSubmission"]["properties"]["projectId"]["pattern"] = "^proj_"
    copy.write(document)
    with start(copy).client() as client:
        answers = [client.post(SUBMIT, json=movie(projectId=name)) for name in ("proj_1", "project_1")]
    assert [answer.status_code for answer in answers] == [202, 400]
    assert "$.projectId: expected text that matches ^proj_" in answers[1].json()["error"]


# Broken files


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("minLength: 1", "minLenght: 1", "minLenght"),
        ("#/components/schemas/Movie'", "#/components/schemas/Moive'", "Movie"),
        ("openapi: 3.1.0", "openapi: 2.0.0", "3.1"),
        ("requests: 120", "requests: many", "x-rate-limit"),
        ("x-rate-limit:", "x-rate-limits:", "x-rate-limit"),
        ("status: 402", "status: 202", "400 to 599"),
        ("jobsAtOnce: 3", "jobsAtOnce: three", "jobsAtOnce"),
        ("  version: 1.0.0", "  version: 1.0.0\n :", "openapi.yaml"),
        ("operationId: getMe\n", "operationId: getUsage\n", "getUsage"),
        ("type: integer, minimum: 1, maximum: 100, default: 25", "type: integer, defalt: 25", "defalt"),
    ],
)
def test_a_broken_spec_is_refused_at_the_start(tmp_path: Path, old: str, new: str, told: str) -> None:
    """The error names the file, the line and the place; nothing is served."""
    path = tmp_path / "openapi.yaml"
    text = shipped("openapi.yaml").read_text()
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(SpecError) as caught:
        create_app(Settings(spec=path))
    assert old in text
    assert told in str(caught.value)
    assert str(caught.value).startswith((f"{path}:", str(path)))


# Reading the file again


def test_a_reload_takes_the_new_spec_and_keeps_the_jobs(copy: Copy, start: Start) -> None:
    """A job of before is read under the new spec, and a new operation is there at once."""
    server = start(copy)
    with server.client(scenario="stuck") as client:
        made = client.post(SUBMIT, json=movie()).json()["jobId"]
        before = client.get("/v1/templates").status_code
        copy.change("paths", "/v1/templates", to=yaml.safe_load(PURGE))
        copy.change("x-error-catalogue", "JOB_NOT_FOUND", "text", to="Gone.")
        server.app.mock.reload()
        assert (before, client.delete("/v1/templates").status_code) == (404, 204)
        assert (client.get(f"/v1/jobs/{made}").status_code, client.get("/v1/usage").status_code) == (200, 200)
        assert client.get("/v1/jobs/none").json()["error"] == "Gone."


def test_a_reload_of_a_broken_file_keeps_the_old_one(copy: Copy, start: Start) -> None:
    """Who mistypes while the mock runs is told so, and goes on."""
    server = start(copy)
    with server.client() as client:
        made = client.post(SUBMIT, json=movie()).json()["jobId"]
        copy.path.write_text(copy.path.read_text().replace("minLength", "minLenght", 1))
        with pytest.raises(SpecError, match="minLenght"):
            server.app.mock.reload()
        assert client.get(f"/v1/jobs/{made}").status_code == 200
        assert client.post(SUBMIT, json=movie(projectId="")).status_code == 400


def test_a_reload_that_fails_halfway_takes_nothing(copy: Copy, start: Start) -> None:
    """A spec that can be read, but lacks what a handler needs, changes not even its texts."""
    server = start(copy)
    copy.change("x-error-catalogue", "JOB_NOT_FOUND", "text", to="Gone.")
    copy.change("components", "schemas", "Movie", "properties", "width", to={"type": ["number", "null"]})
    with pytest.raises(SpecError, match=r"no default for movie\.width"):
        server.app.mock.reload()
    with server.client() as client:
        assert client.get("/v1/jobs/none").json()["error"] == "Job none was not found."


def test_a_scenario_of_before_a_reload_still_holds(copy: Copy, start: Start) -> None:
    """Jobs that were submitted under a scenario, and accounts that are in one, stay in it."""
    server = start(copy)
    with server.client(scenario="scene-fails") as client, server.client() as other:
        made = client.post(SUBMIT, json=movie()).json()["jobId"]
        scripted = other.post(SUBMIT, json=movie(projectId="proj_mock_upload-fails")).json()["jobId"]
        server.app.mock.reload()
        jobs = [(client, made), (other, scripted), (client, client.post(SUBMIT, json=movie()).json()["jobId"])]
        for who, job in jobs * 30:
            who.get(f"/v1/jobs/{job}")
        assert [who.get(f"/v1/jobs/{job}").json()["status"] for who, job in jobs] == ["failed"] * 3
