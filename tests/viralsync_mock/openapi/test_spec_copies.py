"""Copies of the spec that differ in legal ways are served, or refused at the start with the reason and its place."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from tests.conftest import LiveServer, movie, shipped
from tests.support.paths import ROOT

from viralsync_mock.api.handlers import ERROR_CODES
from viralsync_mock.app import create_app
from viralsync_mock.clock import Mode
from viralsync_mock.errors import SpecError
from viralsync_mock.openapi.spec import load_spec
from viralsync_mock.settings import Settings

SPEC = shipped("openapi.yaml")
TEXT = SPEC.read_text()
SUBMIT = "/v1/render/jobs"
TOYS = """
  /v1/toys:
    get:
      operationId: listToys
      responses:
        '200':
          description: Toys
          content:
            application/json:
              schema: {type: object, required: [name], properties: {name: {type: string, pattern: '%s'}}}

webhooks:
"""
Start = Callable[..., LiveServer]


@pytest.fixture
def start(start_mock: Callable[[Settings], LiveServer], tmp_path: Path) -> Start:
    """Return a function that serves a text as a spec; it may not break its own spec."""

    def started(text: str) -> LiveServer:
        path = tmp_path / "openapi.yaml"
        path.write_text(text)
        return start_mock(Settings(spec=path, clock=Mode.AUTO, check_answers=True))

    return started


def changed(old: str, new: str, count: int = -1) -> str:
    """Return the spec with one text in place of another."""
    assert old in TEXT
    return TEXT.replace(old, new, count)


def refusal(text: str, folder: Path) -> str:
    """Return why a copy is refused, without the folder."""
    path = folder / "openapi.yaml"
    path.write_text(text)
    with pytest.raises(SpecError) as caught:
        create_app(Settings(spec=path))
    return str(caught.value).removeprefix(f"{folder}/")


def whole_life(client: httpx.Client) -> list[int]:
    """Call every operation of the API, and return the statuses."""
    job = f"/v1/jobs/{client.post(SUBMIT, json=movie()).json()['jobId']}"
    other = f"/v1/jobs/{client.post(SUBMIT, json=movie()).json()['jobId']}"
    calls = [
        *(("POST", f"{other}/cancel"), ("GET", job), ("GET", f"{job}/progress"), ("GET", "/v1/jobs?limit=1")),
        *(("DELETE", job), ("GET", "/v1/me"), ("GET", "/v1/usage")),
    ]
    return [client.request(method, path).status_code for method, path in calls]


def test_another_name_of_a_path_parameter_is_served(start: Start) -> None:
    """A parameter is known by its place: `x-effect` says which one names the job."""
    text = (
        TEXT.replace("/{jobId}", "/{job_id}", 3)
        .replace("name: jobId", "name: job_id")
        .replace("path.jobId", "path.job_id")
    )
    with start(text).client() as client:
        assert whole_life(client) == [200] * 7
        assert client.get("/v1/jobs/job_none").json()["error"] == "Job job_none was not found."


def test_another_name_is_served_without_x_effect(start: Start) -> None:
    """The only parameter of a path names the job where nothing else says so."""
    text = TEXT.replace("/{jobId}", "/{job_id}", 3).replace("name: jobId", "name: job_id")
    with start(re.sub(r" +x-effect: .*\n", "", text)).client() as client:
        assert whole_life(client) == [200] * 7


def test_a_renamed_parameter_that_x_effect_does_not_follow_is_refused(tmp_path: Path) -> None:
    """The complaint names the place that was forgotten."""
    told = refusal(TEXT.replace("/{jobId}", "/{job_id}", 3).replace("name: jobId", "name: job_id"), tmp_path)
    assert re.match(r"openapi.yaml:\d+: \$.paths\[.*x-effect.jobId: expected \$request.path.job_id, got ", told)


@pytest.mark.parametrize("pattern", [r"^\p{L}{3}$", r"^(?=.*\d)[a-z\d]{6}$"])
def test_a_pattern_in_the_dialect_of_json_schema_is_generated(start: Start, pattern: str) -> None:
    """An operation that no example describes answers with a text that matches."""
    with start(changed("\nwebhooks:\n", TOYS % pattern)).client() as client:
        assert client.get("/v1/toys").status_code == 200


def test_a_pattern_that_cannot_be_generated_is_refused_with_its_place(tmp_path: Path) -> None:
    """At the start, not at the first call, and with the way out."""
    text = changed("\nwebhooks:\n", TOYS % r"^(a)\1$")
    line = text[: text.index(r"^(a)\1$")].count("\n") + 1
    told = refusal(text, tmp_path)
    assert told.startswith(f'openapi.yaml:{line}: $.paths["/v1/toys"].get.responses["200"]')
    assert r"\1 is not supported" in told
    assert "add an `example`" in told


def test_an_address_of_outputs_without_the_job_is_refused(tmp_path: Path) -> None:
    """It would be filled in when the first job is done."""
    assert "$.x-output-url.template: expected" in refusal(changed("outputs/{jobId}/", "outputs/{job_id}/"), tmp_path)


MOVIE_FILE = """
Movie:
  type: object
  required: [scenes]
  properties:
    width: {$ref: 'parts/sizes.yaml#/Width'}
    height: {type: number, default: 1080}
    scenes: {type: array, minItems: 1, items: {$ref: '#/Scene'}}
Scene: {type: object, required: [id, duration], properties: {id: {type: string}, duration: {type: number}}}
"""
EXTERNAL = re.compile(r"movie:\n          \$ref: '#/components/schemas/Movie'")


def with_external_movie(reference: str = "./movie.yaml#/Movie") -> str:
    """Return the spec with the movie of a submission in another file."""
    text, count = EXTERNAL.subn(f"movie:\n          $ref: '{reference}'", TEXT)
    assert count
    return text


def test_references_to_other_files_are_followed(start: Start, tmp_path: Path) -> None:
    """Relative to the file they stand in, which may be in a folder below."""
    (tmp_path / "parts").mkdir()
    (tmp_path / "movie.yaml").write_text(MOVIE_FILE)
    (tmp_path / "parts" / "sizes.yaml").write_text("Width: {type: number, minimum: 360, default: 1920}")
    with start(with_external_movie()).client() as client:
        assert whole_life(client) == [200] * 7
        error = client.post(SUBMIT, json=movie(movie={"width": 1, "scenes": []})).json()["error"]
        assert "$.movie.width: expected at least 360, got 1" in error


def test_a_mistake_in_another_file_is_told_with_that_file(tmp_path: Path) -> None:
    """File, line and place are those of the file that must be changed."""
    (tmp_path / "movie.yaml").write_text(
        MOVIE_FILE.replace("parts/sizes.yaml#/Width", "#/Scene").replace("minItems", "mim")
    )
    assert refusal(with_external_movie(), tmp_path).startswith('movie.yaml:8: $.Movie.properties.scenes: "mim" is not')


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("./none.yaml#/Movie", 'there is no file "none.yaml"'),
        ("../openapi.yaml#/Movie", "lies outside of the spec's folder"),
        ("/etc/passwd", "lies outside of the spec's folder"),
        ("https://example.com/movie.yaml#/Movie", "nothing is fetched over the network"),
        ("file:///etc/passwd", "nothing is fetched over the network"),
        ("./movie.yaml#/Moive", "leads nowhere"),
        ("./movie.yaml#Movie", "names are not supported"),
        ("./openapi.yaml", "leads to the whole spec"),
    ],
)
def test_a_reference_that_cannot_be_followed_is_refused(reference: str, message: str, tmp_path: Path) -> None:
    """With its line in the spec, and the true reason."""
    (tmp_path / "movie.yaml").write_text("Movie: {type: object}")
    text = with_external_movie(reference)
    line = text[: text.index(f"$ref: '{reference}'")].count("\n") + 1
    told = refusal(text, tmp_path)
    assert told.startswith(f"openapi.yaml:{line}: $.components.schemas.RenderJobSubmission")
    assert message in told


def test_the_path_of_a_server_begins_every_path(start: Start) -> None:
    """`/v1` may stand in the server's URL instead of in each path."""
    text = re.sub(r"^  /v1/", "  /", TEXT, flags=re.MULTILINE)
    text = re.sub(r"servers:\n(  .*\n)+", "servers:\n  - {url: 'https://api.viralsync.io/v1'}\n", text)
    with start(text).client() as client:
        assert whole_life(client) == [200] * 7
        assert client.get("/me").status_code == 404


def test_every_server_s_path_is_served(start: Start) -> None:
    """Variables have their defaults."""
    servers = "servers:\n  - url: /{area}\n    variables: {area: {default: eu}}\n  - {url: 'http://localhost'}\n"
    with start(re.sub(r"servers:\n(  .*\n)+", servers, TEXT)).client() as client:
        assert [client.get(path).status_code for path in ("/eu/v1/me", "/v1/me", "/us/v1/me")] == [200, 200, 404]


def test_ranges_and_the_default_stand_for_statuses(start: Start) -> None:
    """`4XX` and `default` declare what no status of its own does."""
    text = re.sub(r" {8}'4\d\d': .*\n", "", TEXT)
    text = re.sub(r"'500': .*\n", "4XX: {$ref: '#/components/responses/BadRequest'}\n", text)
    text = re.sub(r"'503': .*\n", "default: {$ref: '#/components/responses/InternalError'}\n", text)
    with start(text).client() as client:
        assert whole_life(client) == [200] * 7
        assert client.get("/v1/jobs?limit=0").status_code == 400


def test_a_range_of_successes_is_answered_with_its_first(start: Start) -> None:
    """An operation without a handler needs a status."""
    text = changed("\nwebhooks:\n", (TOYS % "^[a-z]+$").replace("'200'", "2XX"))
    with start(text).client() as client:
        assert client.get("/v1/toys").status_code == 200


def test_another_name_of_the_key_s_header_is_served(start: Start) -> None:
    """Keys are read from the header that the security scheme names."""
    server = start(changed("name: x-api-key", "name: X-Render-Key"))
    with httpx.Client(base_url=server.base_url) as client:
        told = [client.get("/v1/me", headers={name: server.new_key()}) for name in ("x-render-key", "x-api-key")]
        bearer = client.get("/v1/me", headers={"authorization": f"Bearer {server.new_key()}"})
        control = client.post("/__mock/reset", headers={"x-api-key": server.new_key()})
    assert [each.status_code for each in (*told, bearer, control)] == [200, 401, 200, 200]
    assert "send it as x-render-key" in told[1].json()["error"]


def test_another_name_of_the_resume_header_is_served(start: Start) -> None:
    """The operation's only header says which event was the last."""
    server = start(changed("name: Last-Event-ID", "name: X-Resume"))
    with server.client() as client:
        job = client.post(SUBMIT, json=movie()).json()["jobId"]
        whole = client.get(f"/v1/jobs/{job}/progress").text
        again = client.get(f"/v1/jobs/{job}/progress", headers={"x-resume": "0"}).text
    assert (whole.count("data:"), again.count("data:")) == (whole.count("data:"), again.count("data:"))
    assert again.startswith("id: 1\n")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("in: header\n      name: x-api-key", "in: query\n      name: key", 'expected header, got "query"'),
        ("type: http\n", "type: oauth2\n", "the mock checks no other"),
        ("minimum: 360", "minimum: '360'", 'this schema cannot be used: "360" is not of type "number"'),
        ("maximum: 3840", "maximum: 3840\n          pattern: '^[a-'", 'cannot be used: "^[a-" is not a "regex"'),
    ],
)
def test_what_cannot_be_served_is_refused_with_its_place(old: str, new: str, message: str, tmp_path: Path) -> None:
    """The line is the one that must be changed."""
    told = refusal(changed(old, new, 1), tmp_path)
    assert re.match(r"openapi.yaml:\d{3,}: \$\.components\.", told)
    assert message in told


def test_aliases_and_merge_keys_are_served(start: Start) -> None:
    """What YAML can shorten may be shortened."""
    text = changed("$ref: '#/components/schemas/Me'", "&me {$ref: '#/components/schemas/Me'}", 1)
    toys = (TOYS % "^[a-z]+$").replace(
        "\nwebhooks", "  /v1/again:\n    get:\n      <<: *toys\n      operationId: again\n\nwebhooks"
    )
    text = text.replace("\nwebhooks:\n", toys.replace("get:\n", "get: &toys\n", 1))
    with start(text.replace("schema:\n                &me", "schema: &me")).client() as client:
        assert [client.get(f"/v1/{path}").status_code for path in ("me", "toys", "again")] == [200] * 3


def test_every_code_that_the_mock_refuses_with_is_in_the_list() -> None:
    """The list is what a copy of the spec is checked for."""
    sources = [path.read_text() for path in (ROOT / "mockserver" / "viralsync_mock").glob("[aj]*/*.py")]
    used = {code for text in sources for code in re.findall(r'"([A-Z]+_[A-Z_]+|UNAUTHORIZED|FORBIDDEN)"', text)}
    assert used & load_spec(SPEC).errors.keys() == ERROR_CODES


@pytest.mark.parametrize("code", sorted(ERROR_CODES))
def test_a_catalogue_without_a_code_of_the_mock_is_refused(code: str, tmp_path: Path) -> None:
    """Else the first refusal with this code would be a 500."""
    text = re.sub(rf"^  {code}:\n(    .*\n)+", "", TEXT, flags=re.MULTILINE)
    assert f"$.x-error-catalogue: the mock refuses requests with {code}" in refusal(text, tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (r"x-job-error-catalogue:\n(  .*\n)+", "x-job-error-catalogue: {}\n", "expected a code for jobs that fail"),
        (r"type: integer(, minimum: 1, maximum: 100)", r"type: string\1", "limit must be of type integer"),
    ],
)
def test_what_a_handler_needs_is_checked_at_the_start(old: str, new: str, message: str, tmp_path: Path) -> None:
    """Else the first call that needs it would be a 500."""
    text, count = re.subn(old, new, TEXT)
    assert (count, message in refusal(text, tmp_path)) == (1, True)
