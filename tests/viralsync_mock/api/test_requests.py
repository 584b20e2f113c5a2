"""Requests of every kind, good and bad: the mock answers in the API's shape, and never with a 5xx."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import httpx
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.conftest import LiveServer, movie, shipped

from viralsync_mock.clock import Mode
from viralsync_mock.openapi.spec import load_spec
from viralsync_mock.settings import Settings

SPEC = load_spec(shipped("openapi.yaml"))
LIMIT = SPEC.body_limit
SUBMIT = "/v1/render/jobs"
JSON = {"content-type": "application/json"}
METHODS = ("GET", "PUT", "POST", "DELETE", "PATCH", "TRACE", "QUERY", "HEAD")
PATHS = {
    path: sorted(each.method for each in SPEC.operations.values() if each.path == path)
    for path in (each.path for each in SPEC.operations.values())
}


def scene(**changes: Any) -> dict[str, Any]:
    """Return a scene."""
    return {"id": "only", "duration": 1, **changes}


def with_movie(**changes: Any) -> dict[str, Any]:
    """Return a submission whose movie has one scene and these fields."""
    return movie(movie={"scenes": [scene()], **changes})


def code_and_text(answer: httpx.Response) -> tuple[int, str]:
    """Return the status of a refusal and its text, which must be in the API's shape."""
    body = answer.json()
    assert sorted(body) == ["code", "error"]
    assert SPEC.errors[body["code"]].status == answer.status_code
    return answer.status_code, body["error"]


def refused(answer: httpx.Response) -> str:
    """Return the text of a 400."""
    status, text = code_and_text(answer)
    assert status == 400, text
    return text


def padded(size: int) -> bytes:
    """Return a valid submission of exactly this many bytes."""
    return json.dumps(movie()).encode().ljust(size)


def in_pieces(body: bytes, size: int = 65536) -> Iterator[bytes]:
    """Yield a body in pieces, so that it is sent chunked."""
    return (body[start : start + size] for start in range(0, len(body), size))


def raw(server: LiveServer, request: bytes) -> tuple[int, bytes]:
    """Send bytes as they are, and return status and body of what comes back."""
    with connected(server) as connection:
        connection.sendall(request)
        return read_answer(connection)


def connected(server: LiveServer) -> socket.socket:
    """Return a new connection."""
    url = httpx.URL(server.base_url)
    return socket.create_connection((url.host, url.port or 80), timeout=10)


def read_answer(connection: socket.socket) -> tuple[int, bytes]:
    """Read until the server closes the connection."""
    head, _, body = b"".join(iter(lambda: connection.recv(65536), b"")).partition(b"\r\n\r\n")
    return int(head.split()[1]), body


def head_of(server: LiveServer, line: bytes, *headers: str) -> bytes:
    """Return the head of a request that ends the connection."""
    fields = ["host: localhost", "connection: close", f"x-api-key: {server.new_key()}", *headers]
    return line + b" HTTP/1.1\r\n" + "\r\n".join(fields).encode() + b"\r\n\r\n"


# Bodies


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"", "$: expected a JSON body, got nothing"),
        (b"{", "not JSON"),
        (b'{"kind": "movie",\n "projectId": }', "line 2 column 15"),
        (b'{"kind": "movie",}', "line 1 column 17"),
        (b"{'kind': 1}", "line 1 column 2"),
        (b"{} {}", "line 1 column 4"),
        (b"nul", "line 1"),
        (b"// movie\n{}", "line 1 column 1"),
        (b'{"kind": NaN}', "JSON has no NaN, at line 1 column 1"),
        (b'{"kind": Infinity}', "JSON has no Infinity"),
        (b'{"kind": -Infinity}', "JSON has no"),
        (b'{"kind": 1e999}', "line 1 column"),
        (b'{"kind": -1e999}', "line 1 column"),
        (b'{"kind": 1' + b"0" * 400 + b"}", "line 1 column"),
        (b'{"kind": "\\ud800"}', "line 1 column"),
        (b'{"kind": "\xff"}', "byte 0xff at position 10"),
        (b"\xff", "byte 0xff at position 0"),
        (b"\xef\xbb\xbf{}", "byte order mark"),
        ("{}".encode("utf-16"), "UTF-16"),
        ("{}".encode("utf-16-be"), "UTF-16"),
        ("{}".encode("utf-32-le"), "UTF-32"),
        (b"[" * 100_000, "not JSON"),
        (b"[" * 100_000 + b"]" * 100_000, "not JSON"),
        (b'{"a":' * 1020 + b"1" + b"}" * 1020, "levels of nesting"),
        (b"\0" * 10, "UTF-16 or UTF-32"),
    ],
    ids=range(25),
)
def test_a_body_that_is_not_json_is_refused_with_the_place(client: httpx.Client, body: bytes, told: str) -> None:
    """The text says what is wrong and where: line and column, or the byte."""
    assert told in refused(client.post(SUBMIT, content=body, headers=JSON))


@pytest.mark.parametrize(
    ("body", "got"), [("[]", "a list"), ("null", "null"), ("7", "7"), ('"movie"', '"movie"'), ("true", "true")]
)
def test_json_that_is_no_object_is_refused(client: httpx.Client, body: str, got: str) -> None:
    """A submission is an object."""
    assert f"$: expected an object, got {got}" in refused(client.post(SUBMIT, content=body, headers=JSON))


def test_every_violation_of_a_submission_is_listed_with_its_place(client: httpx.Client) -> None:
    """One refusal tells all that is wrong, so that it can be mended in one go."""
    document = {
        "kind": "song",
        "projectId": "",
        "callbackUrl": "ftp://studio.example",
        "renderOptions": {"qualityPreset": "turbos", "requestedConcurrency": 33},
        "movie": {
            "title": 3,
            "width": 359,
            "height": 2161,
            "fps": 0.5,
            "scenes": [scene(duration=0), scene(bgColor="red", layers=[{"type": "vidio"}, {}]), {"duration": "2"}],
        },
    }
    text = refused(client.post(SUBMIT, json=document))
    places = [
        *("$.kind", "$.projectId", "$.callbackUrl", "$.renderOptions.qualityPreset"),
        *("$.renderOptions.requestedConcurrency", "$.movie.title", "$.movie.width", "$.movie.height", "$.movie.fps"),
        *("$.movie.scenes[0].duration", "$.movie.scenes[1].bgColor", "$.movie.scenes[1].layers[0].type"),
        *("$.movie.scenes[1].layers[1].type", "$.movie.scenes[1].id", "$.movie.scenes[2].id"),
        "$.movie.scenes[2].duration",
    ]
    assert [place for place in places if f"{place}: " not in text] == []


@pytest.mark.parametrize(
    ("document", "told"),
    [
        ({"kind": "movies"}, '$.kind: expected "movie", got "movies". Did you mean "movie"?'),
        ({"projectId": 7}, "$.projectId: expected a string, got 7"),
        ({"projectId": None}, "$.projectId: expected a string, got null"),
        ({"movie": None}, "$.movie: expected an object, got null"),
        ({"movie": []}, "$.movie: expected an object, got a list"),
        ({"movie": {}}, "$.movie.scenes: required, but missing"),
        ({"movie": {"scenes": []}}, "$.movie.scenes: expected at least 1 item, got 0"),
        ({"movie": {"scenes": {}}}, "$.movie.scenes: expected an array, got"),
        ({"movie": {"scenes": [None]}}, "$.movie.scenes[0]: expected an object, got null"),
        ({"movie": {"scenes": [{"duration": 1}]}}, "$.movie.scenes[0].id: required, but missing"),
        ({"movie": {"scenes": [{"id": "a"}]}}, "$.movie.scenes[0].duration: required, but missing"),
        ({"movie": {"scenes": [scene(id=3)]}}, "$.movie.scenes[0].id: expected a string, got 3"),
        ({"movie": {"scenes": [scene(duration=0)]}}, "$.movie.scenes[0].duration: expected more than 0, got 0"),
        ({"movie": {"scenes": [scene(duration=-1)]}}, "$.movie.scenes[0].duration: expected more than 0, got -1"),
        ({"movie": {"scenes": [scene(duration=True)]}}, "$.movie.scenes[0].duration: expected a number, got true"),
        ({"movie": {"scenes": [scene(duration=None)]}}, "$.movie.scenes[0].duration: expected a number, got null"),
        ({"movie": {"scenes": [scene(layers=[{"type": "vidoe"}])]}}, 'Did you mean "video"?'),
        ({"renderOptions": {"qualityPreset": "Turbo"}}, 'Did you mean "turbo"?'),
        ({"renderOptions": {"requestedConcurrency": 0}}, "$.renderOptions.requestedConcurrency: expected at least 1"),
        ({"renderOptions": {"requestedConcurrency": 2.5}}, "$.renderOptions.requestedConcurrency: expected an integer"),
        ({"renderOptions": "fast"}, "$.renderOptions: expected an object, got"),
        ({"callbackUrl": "studio.example/hook"}, "$.callbackUrl: "),
        ({"callbackUrl": 7}, "$.callbackUrl: expected a string or null, got 7"),
    ],
)
def test_a_violation_says_what_was_expected_and_what_came(
    client: httpx.Client, document: dict[str, Any], told: str
) -> None:
    """The nearest valid word is suggested where there is one."""
    assert told in refused(client.post(SUBMIT, json=movie(**document)))


def test_two_scenes_may_not_have_one_id(client: httpx.Client) -> None:
    """Every later scene of the same id is named together with the first."""
    text = refused(client.post(SUBMIT, json=with_movie(scenes=[scene(), scene(id="b"), scene(), scene()])))
    assert '$.movie.scenes[2].id: duplicate of $.movie.scenes[0].id ("only")' in text
    assert "$.movie.scenes[3].id: duplicate of $.movie.scenes[0].id" in text


@pytest.mark.parametrize(
    "document",
    [
        movie(renderOptions=None),
        movie(callbackUrl=None),
        movie(renderOptions={"qualityPreset": None, "requestedConcurrency": None}),
        with_movie(id=None, title=None, width=None, height=None, fps=None),
        with_movie(scenes=[scene(bgColor=None, layers=None)]),
        with_movie(scenes=[scene(layers=[{"type": "text", "text": None}])]),
    ],
    ids=range(6),
)
def test_null_is_the_same_as_leaving_an_optional_field_out(client: httpx.Client, document: dict[str, Any]) -> None:
    """Every optional field may be null, and the job is made with the defaults."""
    made = client.post(SUBMIT, json=document)
    assert (made.status_code, made.json()["status"]) == (202, "queued")


def test_unknown_fields_are_accepted_everywhere(client: httpx.Client) -> None:
    """A client that is ahead of the documentation is not refused."""
    new = {"brandNew": {"deep": [1, None]}}
    scenes = [scene(**new, layers=[{"type": "audio", **new}])]
    document = movie(**new, renderOptions=new, movie={"scenes": scenes, **new})
    assert client.post(SUBMIT, json=document).status_code == 202


@pytest.mark.parametrize("depth", [50, 190])
def test_an_unknown_field_may_be_deep(client: httpx.Client, depth: int) -> None:
    """What is accepted can be echoed by every view, however deep it is."""
    deep: Any = 1
    for _ in range(depth):
        deep = [deep]
    made = client.post(SUBMIT, json=with_movie(deep=deep)).json()["jobId"]
    assert client.get(f"/v1/jobs/{made}").json()["payload"]["movie"]["deep"] == deep
    assert client.get("/v1/jobs").json()["jobs"][0]["payload"]["movie"]["deep"] == deep


@pytest.mark.parametrize("duration", ["1e308", "1e300", "1" + "0" * 60, "600.001"])
def test_a_movie_of_absurd_length_meets_the_plan_limit(client: httpx.Client, duration: str) -> None:
    """Even a length that multiplies into infinity is refused as any other that is too long."""
    body = json.dumps(with_movie(scenes=[scene(duration="?")])).replace('"?"', duration)
    answer = client.post(SUBMIT, content=body, headers=JSON)
    assert (answer.status_code, answer.json()["code"]) == (402, "PLAN_LIMIT_EXCEEDED")


def test_lengths_that_add_up_to_infinity_meet_the_plan_limit(client: httpx.Client) -> None:
    """The sum of finite lengths may be beyond all numbers."""
    scenes = [scene(id=name, duration=1.7e308) for name in "abc"]
    answer = client.post(SUBMIT, json=with_movie(scenes=scenes))
    assert (answer.status_code, answer.json()["code"]) == (402, "PLAN_LIMIT_EXCEEDED")


@pytest.mark.parametrize("duration", [5e-324, 1e-9, 0.0004])
def test_a_movie_of_next_to_no_length_is_rendered(client: httpx.Client, duration: float) -> None:
    """More than nothing is enough."""
    made = client.post(SUBMIT, json=with_movie(scenes=[scene(duration=duration)])).json()["jobId"]
    for _ in range(20):
        job = client.get(f"/v1/jobs/{made}").json()
    assert job["status"] == "done"


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "application/json; charset=utf-8",
        "application/json;charset=UTF-8",
        'application/json; charset="utf-8"',
        "APPLICATION/JSON",
        "application/json ; version=1",
        "application/json;",
    ],
)
def test_json_may_be_announced_in_every_usual_way(client: httpx.Client, content_type: str) -> None:
    """Case, parameters and quotes do not matter."""
    answer = client.post(SUBMIT, content=json.dumps(movie()), headers={"content-type": content_type})
    assert answer.status_code == 202


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "",
        "text/plain",
        "text/json",
        "application/jsonx",
        "application/xml",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
        "multipart/form-data; boundary=x",
        "application/json, text/plain",
        "application/json; charset=utf-16",
        "application/json; charset=latin-1",
        "nonsense",
        ";",
        "a" * 5000,
    ],
)
def test_another_content_type_is_refused(client: httpx.Client, content_type: str | None) -> None:
    """The body has to be announced as JSON in UTF-8, even if it is that."""
    headers = {} if content_type is None else {"content-type": content_type}
    answer = client.post(SUBMIT, content=json.dumps(movie()).encode(), headers=headers)
    assert "header.content-type: expected " in refused(answer)


def test_two_content_types_are_refused(client: httpx.Client) -> None:
    """A header that comes twice is not reduced to the one that suits."""
    key = client.headers["x-api-key"]
    lines = [("x-api-key", key), ("content-type", "text/plain"), ("content-type", "application/json")]
    request = httpx.Request("POST", client.base_url.join(SUBMIT), content=json.dumps(movie()), headers=lines)
    assert "header.content-type: expected application/json" in refused(client.send(request))


@pytest.mark.parametrize("framing", [("content-length: 0",), ()], ids=["empty", "missing"])
def test_a_submission_without_a_body_is_refused(live_server: LiveServer, framing: tuple[str, ...]) -> None:
    """An empty body and none at all are told alike."""
    head = head_of(live_server, b"POST /v1/render/jobs", "content-type: application/json", *framing)
    status, body = raw(live_server, head)
    assert (status, b"$: expected a JSON body, got nothing" in body) == (400, True)


@pytest.mark.parametrize("body", [b"", b"{}", b"\xff\xfe", b"[" * 1000, b"not json"])
@pytest.mark.parametrize("content_type", ["application/json", "multipart/form-data", "text/plain"])
def test_an_operation_without_a_body_ignores_one(client: httpx.Client, body: bytes, content_type: str) -> None:
    """What nobody asked for is not looked at."""
    made = client.post(SUBMIT, json=movie()).json()["jobId"]
    headers = {"content-type": content_type}
    assert client.request("GET", "/v1/me", content=body, headers=headers).status_code == 200
    assert client.post(f"/v1/jobs/{made}/cancel", content=body, headers=headers).status_code == 200


# Sizes


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize(
    ("size", "status"),
    [(LIMIT, 202), (LIMIT + 1, 413), (2 * LIMIT, 413), (2 * LIMIT + 1, 413), (5_000_000, 413)],
)
def test_a_body_up_to_the_limit_is_taken(client: httpx.Client, size: int, status: int, chunked: bool) -> None:
    """The limit itself is allowed, one byte more is not, however it is sent; the connection stays usable."""
    content = in_pieces(padded(size)) if chunked else padded(size)
    answer = client.post(SUBMIT, content=content, headers=JSON)
    assert answer.status_code == status
    assert client.get("/v1/me").status_code == 200
    assert len(client.get("/v1/jobs").json()["jobs"]) == (status == 202)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/v1/me", 413), ("DELETE", "/v1/jobs/x", 413), ("POST", "/v1/nowhere", 404), ("PUT", SUBMIT, 405)],
)
def test_a_huge_body_where_none_belongs_is_refused(client: httpx.Client, method: str, path: str, status: int) -> None:
    """The limit holds for every operation, and a route that does not exist has no body to look at."""
    answer = client.request(method, path, content=b"x" * 5_000_000)
    assert code_and_text(answer)[0] == status
    assert client.get("/v1/me").status_code == 200


def test_a_huge_body_without_a_key_is_refused_for_its_key(live_server: LiveServer) -> None:
    """The key is looked at first."""
    answer = httpx.post(live_server.base_url + SUBMIT, content=b"x" * 5_000_000, headers=JSON)
    assert (answer.status_code, answer.json()["code"]) == (401, "UNAUTHORIZED")


def test_a_huge_body_is_refused_before_all_of_it_was_sent(live_server: LiveServer) -> None:
    """Nobody has to send a gigabyte to learn that it is too much."""
    head = head_of(live_server, b"POST /v1/render/jobs", "content-type: application/json", "content-length: 1000000000")
    status, body = raw(live_server, head + b" " * (2 * LIMIT + 1))
    assert (status, json.loads(body)["code"]) == (413, "PAYLOAD_TOO_LARGE")


def test_a_body_that_breaks_off_makes_no_job(start_mock: Callable[[Settings], LiveServer]) -> None:
    """Half a body that happens to be valid JSON is not acted upon."""
    server = start_mock(Settings(clock=Mode.FROZEN, check_answers=True))
    answered, key = threading.Event(), server.new_key(clock="frozen")
    server.app.mock.on_call = lambda *_: answered.set()
    with connected(server) as connection:
        body = json.dumps(movie()).encode()
        head = f"POST {SUBMIT} HTTP/1.1\r\nhost: localhost\r\nx-api-key: {key}\r\ncontent-type: application/json\r\n"
        connection.sendall(f"{head}content-length: {len(body) + 100}\r\n\r\n".encode() + body)
    assert answered.wait(10)
    assert server.app.mock.sandbox(key).submissions == 0


# Parameters and paths


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("limit=0", "query.limit: expected at least 1, got 0"),
        ("limit=101", "query.limit: expected at most 100, got 101"),
        ("limit=-1", "query.limit: expected at least 1, got -1"),
        ("limit=abc", 'query.limit: expected an integer, got "abc"'),
        ("limit=1.5", 'query.limit: expected an integer, got "1.5"'),
        ("limit=1e1", "query.limit: expected an integer"),
        ("limit=", 'query.limit: expected an integer, got ""'),
        ("limit", "query.limit: expected an integer"),
        ("limit=+5", "query.limit: expected an integer"),
        ("limit=%205", "query.limit: expected an integer"),
        ("limit=0x10", "query.limit: expected an integer"),
        ("limit=%D9%A3", "query.limit: expected an integer"),
        ("limit=" + "9" * 400, "query.limit: expected an"),
        ("limit=null", "query.limit: expected an integer"),
        ("limit=5&limit=5", "query.limit: expected one value, got 2"),
        ("limit=%", "query.limit: expected two hexadecimal digits after each %"),
        ("limit=%zz", "query.limit: expected two hexadecimal digits after each %"),
        ("limit=%ff", "query.limit: expected UTF-8, got the byte 0xff"),
        ("limit=%00", "query.limit: expected an integer"),
        ("status=%ff", "query.status: expected UTF-8"),
        ("status=", "query.status: expected one of"),
        ("status=canceled", 'Did you mean "cancelled"?'),
        ("status=DONE", "query.status: expected one of"),
        ("status=done&status=failed", "query.status: expected one value, got 2"),
        ("cursor=", "query.cursor: "),
        ("cursor=nonsense", "query.cursor: expected the nextCursor of an earlier page"),
        ("cursor=%00%0a%7f", "query.cursor: "),
        ("cursor=%C3%A9", "query.cursor: "),
        ("cursor=" + "a" * 10_000, "query.cursor: "),
    ],
    ids=range(29),
)
def test_a_bad_parameter_is_refused_with_its_place(client: httpx.Client, query: str, told: str) -> None:
    """Nothing is clamped or guessed."""
    assert told in refused(client.get(f"/v1/jobs?{query}"))


def test_every_bad_parameter_is_listed(client: httpx.Client) -> None:
    """One refusal tells all of them."""
    text = refused(client.get("/v1/jobs?limit=0&status=gone"))
    assert "query.limit: expected at least 1" in text
    assert "query.status: expected one of" in text


@pytest.mark.parametrize(
    "query", ["page=2", "Limit=0", "limit[]=0", "%ff=%zz", "&&&=&", "a=%", "limits=0&type=&x=%00", "type=%00"]
)
def test_an_unknown_parameter_is_ignored(client: httpx.Client, query: str) -> None:
    """Only what the spec names is looked at."""
    assert client.get(f"/v1/jobs?{query}").status_code == 200


@pytest.mark.parametrize(
    ("target", "status"),
    [
        (b"/v1/jobs/%00", 404),
        (b"/v1/jobs/%01%0a%0d%1b", 404),
        (b"/v1/jobs/%ff%fe", 404),
        (b"/v1/jobs/%ed%a0%80", 404),
        (b"/v1/jobs/%", 404),
        (b"/v1/jobs/%zz", 404),
        (b"/v1/jobs/%2e%2e", 404),
        (b"/v1/jobs/%2F", 404),
        (b"/v1/jobs/a%2Fb", 404),
        (b"/v1/jobs/" + b"a" * 10_000, 404),
        (b"/v1/jobs/scene__001", 404),
        (b"/v1/jobs/assemble_", 404),
        (b"/v1/jobs/scene_" + b"9" * 5000 + b"_001", 404),
        (b"/v1/jobs/", 404),
        (b"/v1/jobs//", 404),
        (b"//v1/jobs", 404),
        (b"/v1//jobs", 404),
        (b"/", 404),
        (b"/V1/jobs", 404),
        (b"/v1/jobs/..", 404),
        (b"http://elsewhere.example/v1/me", 200),
        (b"/v1/%6De", 200),
    ],
    ids=range(22),
)
def test_an_odd_path_leads_nowhere(live_server: LiveServer, target: bytes, status: int) -> None:
    """Control characters, broken encodings, dots and slashes are no way in, and none of them is a 500."""
    found, body = raw(live_server, head_of(live_server, b"GET " + target))
    assert found == status
    assert status == 200 or sorted(json.loads(body)) == ["code", "error"]


@pytest.mark.parametrize("target", [b"/v1/jobs/\xff", b"/v1/jobs/\x01", b"/v1/jobs?limit=\xff", b"/v1/jobs/a b", b"me"])
def test_bytes_that_no_url_has_are_refused(live_server: LiveServer, target: bytes) -> None:
    """What is not HTTP is refused before it is a call."""
    assert raw(live_server, head_of(live_server, b"GET " + target))[0] == 400


# Methods


def allowed(declared: list[str]) -> list[str]:
    """Return the methods that work on a path: HEAD goes where GET goes, and OPTIONS always works."""
    return sorted({*declared, "OPTIONS", *(["HEAD"] if "GET" in declared else [])})


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", METHODS)
def test_an_undeclared_method_names_the_declared_ones(client: httpx.Client, path: str, method: str) -> None:
    """405 holds exactly the methods that work in `Allow`."""
    declared = PATHS[path]
    answer = client.request(method, path.replace("{jobId}", "job_1"))
    if method in declared or (method == "HEAD" and "GET" in declared):
        assert answer.status_code in {200, 400, 404}
        return
    assert (answer.status_code, answer.headers["allow"].split(", ")) == (405, allowed(declared))
    assert method == "HEAD" or answer.json()["code"] == "METHOD_NOT_ALLOWED"


@pytest.mark.parametrize("path", PATHS)
def test_options_lists_the_declared_methods(client: httpx.Client, path: str) -> None:
    """A question about a path is answered without a key and without a body."""
    answer = client.options(path.replace("{jobId}", "job_1"), headers={"x-api-key": "none"})
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["allow"].split(", ") == allowed(PATHS[path])


@pytest.mark.parametrize("method", [*METHODS, "OPTIONS"])
def test_an_unknown_path_has_no_methods(client: httpx.Client, method: str) -> None:
    """404 comes before 405."""
    answer = client.request(method, "/v1/nowhere")
    assert answer.status_code == 404
    assert "allow" not in answer.headers


@pytest.mark.parametrize("path", ["/v1/me", "/v1/usage", "/v1/jobs", "/v1/jobs/{}", "/v1/jobs/nothing"])
def test_head_is_get_without_the_body(frozen: httpx.Client, path: str) -> None:
    """Status and headers are those of GET."""
    path = path.format(frozen.post(SUBMIT, json=movie()).json()["jobId"])
    head, get = frozen.head(path), frozen.get(path)
    assert (head.status_code, head.content) == (get.status_code, b"")
    ids = [each.headers.pop("x-mock-call-id") for each in (head, get)]
    assert head.headers == get.headers
    assert len(set(ids)) == 2


def test_head_of_a_stream_opens_none(frozen: httpx.Client) -> None:
    """The headers of the stream come without a single event, though the job goes on."""
    made = frozen.post(SUBMIT, json=movie()).json()["jobId"]
    head = frozen.head(f"/v1/jobs/{made}/progress")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-type"].startswith("text/event-stream")
    assert frozen.get("/v1/me").status_code == 200  # on the same connection, which no stream holds


# Pages of other origins

PREFLIGHT = {
    "origin": "http://localhost:3000",
    "access-control-request-method": "DELETE",
    "access-control-request-headers": "x-api-key, authorization, content-type, x-mock-scenario, last-event-id",
}


def test_a_page_may_ask_before_it_calls(live_server: LiveServer) -> None:
    """A preflight needs no key, and allows every method and header of the API."""
    answer = httpx.options(f"{live_server.base_url}/v1/jobs/job_1", headers=PREFLIGHT)
    allowed = answer.headers["access-control-allow-headers"].lower()
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, PREFLIGHT["origin"])
    assert "DELETE" in answer.headers["access-control-allow-methods"]
    assert [name for name in PREFLIGHT["access-control-request-headers"].split(", ") if name not in allowed] == []


@pytest.mark.parametrize(
    ("path", "status"), [("/v1/me", 200), ("/v1/nowhere", 404), ("/v1/jobs?limit=0", 400), ("/v1/jobs/x", 404)]
)
def test_a_page_may_read_every_answer(client: httpx.Client, path: str, status: int) -> None:
    """Refusals too, and how long to wait."""
    answer = client.get(path, headers={"origin": "http://localhost:3000"})
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (status, "http://localhost:3000")
    assert "retry-after" in answer.headers["access-control-expose-headers"].lower()


def test_without_cors_no_page_is_let_in(start_mock: Callable[[Settings], LiveServer]) -> None:
    """The question is answered as any OPTIONS is, and nothing allows another origin."""
    server = start_mock(Settings(clock=Mode.FROZEN, check_answers=True, cors=False))
    with server.client() as client:
        preflight = client.options("/v1/jobs/job_1", headers=PREFLIGHT)
        simple = client.get("/v1/me", headers={"origin": "http://localhost:3000"})
    assert (preflight.status_code, preflight.headers["allow"]) == (204, "DELETE, GET, HEAD, OPTIONS")
    assert (simple.status_code, "access-control-allow-origin" in simple.headers) == (200, False)


# Time


def test_every_answer_is_dated_by_the_clock_of_its_sandbox(live_server: LiveServer, frozen: httpx.Client) -> None:
    """`Date` stands still until the clock is moved, and tells pretended time, also on a refusal."""
    before = frozen.get("/v1/me").headers["date"]
    clock = live_server.app.mock.sandbox(frozen.headers["x-api-key"]).clock
    clock.set_time(clock.now() + timedelta(days=1, seconds=90.5))
    answers = [frozen.get("/v1/me"), frozen.get("/v1/jobs/x"), frozen.get("/v1/jobs?limit=0")]
    assert before == "Thu, 01 Jan 2026 00:00:00 GMT"
    assert [answer.headers["date"] for answer in answers] == ["Fri, 02 Jan 2026 00:01:30 GMT"] * 3


def test_an_answer_without_a_sandbox_is_dated_too(live_server: LiveServer) -> None:
    """Without a key the clock is nobody's, and stands where all clocks begin."""
    answer = httpx.get(f"{live_server.base_url}/v1/me")
    assert (answer.status_code, answer.headers["date"]) == (401, "Thu, 01 Jan 2026 00:00:00 GMT")


def test_the_timestamps_of_a_job_are_of_the_same_clock(live_server: LiveServer, frozen: httpx.Client) -> None:
    """A job is created at the pretended instant, to the millisecond, and its steps follow from there."""
    clock = live_server.app.mock.sandbox(frozen.headers["x-api-key"]).clock
    clock.set_time(clock.now() + timedelta(hours=1, milliseconds=250))
    path = f"/v1/jobs/{frozen.post(SUBMIT, json=movie()).json()['jobId']}"
    clock.set_time(clock.now() + timedelta(seconds=1.2))
    job = frozen.get(path).json()
    assert (job["createdAt"], job["updatedAt"]) == ("2026-01-01T01:00:00.250Z", "2026-01-01T01:00:01.250Z")


# Anything at all

any_json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(["movie", "proj_mock_happy", "proj_mock_x", "https://a.example", "turbo", 1e308, 10**400]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=8,
)


def mostly(usual: object) -> st.SearchStrategy[Any]:
    """Return the usual value most of the time, else anything."""
    return st.one_of(st.just(usual), st.just(usual), any_json)


scenes = st.lists(
    st.fixed_dictionaries(
        {"id": mostly("a") | st.text(), "duration": mostly(1) | st.floats()},
        optional={"bgColor": mostly("#123456"), "layers": any_json, "other": any_json},
    ),
    max_size=4,
)
submissions = st.fixed_dictionaries(
    {
        "kind": mostly("movie"),
        "projectId": mostly("p"),
        "movie": any_json
        | st.fixed_dictionaries(
            {"scenes": any_json | scenes},
            optional={
                **dict.fromkeys(("id", "title"), any_json),
                **{name: mostly(1000) for name in ("width", "height", "fps")},
            },
        ),
    },
    optional={
        "renderOptions": any_json
        | st.fixed_dictionaries({"qualityPreset": mostly("fast"), "requestedConcurrency": mostly(3)}),
        "callbackUrl": any_json,
        "other": any_json,
    },
)
fuzz = settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


@pytest.fixture(scope="module")
def http() -> Iterator[httpx.Client]:
    """Yield an HTTP client without a key."""
    with httpx.Client() as client:
        yield client


def check_shape(answer: httpx.Response) -> None:
    """See that an answer is no 5xx, and an error in the API's shape."""
    assert answer.status_code < 500
    if answer.status_code >= 400 and answer.request.method != "HEAD":
        code_and_text(answer)
        assert answer.headers["content-type"] == "application/json"


@fuzz
@given(submissions | any_json)
def test_any_json_is_taken_or_refused_in_the_shape_of_the_api(
    live_server: LiveServer, http: httpx.Client, document: Any
) -> None:
    """Whatever is submitted, nobody meets a 5xx; what is taken can be read, listed and deleted."""
    content = json.dumps(document).encode()
    headers = {**JSON, **live_server.headers(live_server.new_key())}
    answer = http.post(live_server.base_url + SUBMIT, content=content, headers=headers)
    check_shape(answer)
    if answer.status_code == 202:
        job = f"{live_server.base_url}/v1/jobs/{answer.json()['jobId']}"
        views = [http.get(job, headers=headers), http.get(f"{live_server.base_url}/v1/jobs", headers=headers)]
        assert [view.status_code for view in views] == [200, 200]


@fuzz
@given(st.binary(max_size=200) | st.binary(max_size=20).map(lambda middle: orjson.dumps(movie())[:-9] + middle))
def test_any_bytes_are_refused_in_the_shape_of_the_api(
    live_server: LiveServer, http: httpx.Client, content: bytes
) -> None:
    """Bytes that are no submission get a 400 that says so."""
    headers = {**JSON, **live_server.headers(live_server.new_key())}
    answer = http.post(live_server.base_url + SUBMIT, content=content, headers=headers)
    check_shape(answer)


segments = st.sampled_from(["v1", "jobs", "me", "usage", "render", "cancel", "progress", "JOB", "scene_JOB_001"])
encoded = st.binary(max_size=12).map(quote) | st.sampled_from(["%", "%0", "%zz", "..", ".", "%2e%2e", "%2f"])
paths = st.lists(segments | encoded, max_size=5).map("/".join) | st.sampled_from(
    [
        "v1/jobs",
        "v1/jobs/JOB",
        "v1/jobs/JOB/cancel",
        "v1/jobs/JOB/progress",
        "v1/jobs/assemble_JOB",
        "v1/me",
        "v1/render/jobs",
    ]
)
names = st.sampled_from(["limit", "cursor", "status", "type"]) | encoded
values = st.sampled_from(["1", "100", "done", "render", "-1"]) | encoded
queries = st.lists(st.tuples(names, values).map("=".join) | encoded, max_size=4).map("&".join)
field_names = st.sampled_from(
    ["x-api-key", "authorization", "content-type", "x-mock-scenario", "last-event-id", "accept", "origin", "x-other"]
)
field_values = st.sampled_from(["Bearer x", "application/json", "happy", "instant", "7", "-1", "\u00e9"]) | st.text(
    st.characters(min_codepoint=33, max_codepoint=126), max_size=20
)


@fuzz
@given(
    st.sampled_from([*METHODS, "OPTIONS"]),
    paths,
    queries,
    st.dictionaries(field_names, field_values, max_size=4),
    st.sampled_from([b"", b"{}", b"\xff", json.dumps(movie()).encode()]),
)
def test_any_request_is_answered_in_the_shape_of_the_api(
    live_server: LiveServer,
    http: httpx.Client,
    method: str,
    path: str,
    query: str,
    fields: dict[str, str],
    content: bytes,
) -> None:
    """Whatever the method, path, query and headers are, nobody meets a 5xx."""
    headers = {"x-api-key": live_server.new_key(), **JSON}
    made = http.post(live_server.base_url + SUBMIT, json=movie(), headers=headers).json()["jobId"]
    target = f"{live_server.base_url}/{path.replace('JOB', made)}?{query}"
    raw_fields = [(name.encode(), value.encode("latin-1")) for name, value in {**headers, **fields}.items()]
    check_shape(http.request(method, target, headers=raw_fields, content=content))


@pytest.mark.parametrize("request_line", [b"GET /v1/jobs/\xff\xfe HTTP/1.1", b"NONSENSE", b"GET /v1/me HTTP/9.9"])
def test_what_is_not_http_is_refused_in_the_api_s_shape(request_line: bytes, live_server: LiveServer) -> None:
    """Bytes that no HTTP parser takes get 400 as JSON, and the connection ends."""
    host, port = live_server.base_url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(request_line + b"\r\nhost: localhost\r\n\r\n")
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    head, body = answer.split(b"\r\n\r\n", 1)
    assert head.startswith(b"HTTP/1.1 400 ")
    assert json.loads(body)["code"] == "VALIDATION_ERROR"
    assert json.loads(body)["error"].startswith("The request is not valid: the request: expected HTTP/1.1")


# Callbacks that can never be delivered


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("{own}/hook", "leads to the mock itself"),
        ("http://hooks.example/x", "start with --allow-webhook-host hooks.example."),
        ("http://me:secret@127.0.0.1:9/", "is not plain"),
        ("http://127.0.0.1:99999/", "is not plain"),
        ("http://m\u00fcsli.example/", "is not plain"),
        ("http://127.0.0.1:9/nobody-listens-yet", None),
        ("HTTPS://localhost:9/", None),
    ],
)
def test_a_callback_that_can_never_be_delivered_is_warned_of(
    live_server: LiveServer, url: str, reason: str | None
) -> None:
    """The 202 names the reason in `x-mock-warning`; a receiver that may still come up is none."""
    with live_server.client() as client:
        answer = client.post("/v1/render/jobs", json=movie(callbackUrl=url.format(own=live_server.base_url)))
    assert answer.status_code == 202
    warning = answer.headers.get("x-mock-warning")
    assert warning is None if reason is None else reason in warning


def test_no_warning_without_headers_of_the_mock(start_mock: Callable[[Settings], LiveServer]) -> None:
    """`--no-mock-headers` leaves it out as well."""
    server = start_mock(Settings(mock_headers=False))
    with server.client() as client:
        answer = client.post("/v1/render/jobs", json=movie(callbackUrl="http://hooks.example/"))
    assert (answer.status_code, "x-mock-warning" in answer.headers) == (202, False)
