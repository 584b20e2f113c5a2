"""What a hostile or broken client sends gets a clear refusal, costs little, and keeps nobody else from being served."""

from __future__ import annotations

import asyncio
import gc
import socket
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.conftest import LiveServer, movie
from tests.support.in_process import InProcess, Receiver
from tests.support.scenario_documents import KEY as SOME_KEY
from tests.support.scenario_documents import spec

from viralsync_mock.clock import Mode
from viralsync_mock.errors import SettingsError, UsageError
from viralsync_mock.scenarios.loader import load_scenario
from viralsync_mock.settings import Settings
from viralsync_mock.webhooks.sender import Reply, WebhookRequest

StartMock = Callable[[Settings], LiveServer]

DEEP = 5_000
QUICK = timedelta(seconds=2)


def refusal(answer: httpx.Response) -> tuple[int, str]:
    """Return status and code of a refusal, which has the API's shape and no line of a traceback."""
    assert 400 <= answer.status_code < 500, answer.text[:300]
    document = answer.json()
    assert {"error", "code"} == set(document)
    assert "Traceback" not in document["error"]
    return answer.status_code, document["code"]


def nested(depth: int, inside: str = "1") -> bytes:
    """Return JSON that is nested so deeply."""
    return (b'{"a":' * depth) + inside.encode() + b"}" * depth


# Files and scenarios.

BOMBS = {
    "aliases": "a: &a [1,1,1,1,1,1,1,1,1]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: [*b,*b,*b,*b,*b,*b,*b,*b,*b]\n",
    "deep": "a: " + "[" * DEEP + "]" * DEEP,
    "deep blocks": "".join(" " * number + "a:\n" for number in range(DEEP // 5)),
    "huge": "name: " + "x" * 6_000_000,
    "tags": "name: !!python/object/apply:os.system ['true']",
    "NUL": "name: a\0b",
    "a number of many digits": "name: 1" + "0" * 100_000,
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_yaml_bomb_is_refused_as_a_scenario(bomb: str, tmp_path: Path) -> None:
    """Quickly, with the name of the file, and without memory for what it would become."""
    path = tmp_path / "bomb.yaml"
    path.write_text(BOMBS[bomb], encoding="utf-8")
    with pytest.raises(UsageError, match="bomb"):
        load_scenario(path, spec())


@pytest.mark.parametrize(
    "body",
    [
        nested(DEEP),
        b'{"name": "a", "description": "a", "rules": ' + b"[" * DEEP + b"]" * DEEP + b"}",
        b'{"name": "a", "description": "a", "rules": [{"match": {"body": %b}, "fault": {"status": 503}}]}'
        % nested(900),
        b'{"name": "a", "description": "a", "rules": [{"respond": {"status": 200, "body": %b}}]}' % nested(900),
        b'{"name": "%b"}' % (b"x" * 900_000),
        b'{"name": "a", "description": "a", "%b": 1}' % (b"x" * 900_000),
        b'{"name": "a", "description": "a", "limits": {"rate": "%b/1s"}}' % (b"9" * 500_000),
        b'{"name": 1e400}',
        b'{"name": "\\ud800"}',
        b'{"name": "a\xff"}',
    ],
    ids=lambda body: body[:60].decode("latin-1"),
)
def test_a_monstrous_scenario_is_refused(frozen: httpx.Client, body: bytes) -> None:
    """Whatever is deep, long or no text in it, the control API says so."""
    answer = frozen.put("/__mock/scenario", content=body)
    assert refusal(answer) == (400, "VALIDATION_ERROR")
    assert len(answer.content) < 5_000
    assert answer.elapsed < QUICK


def test_a_deep_match_meets_a_deep_body(frozen: httpx.Client) -> None:
    """What may be deep in a scenario and in a call can be compared."""
    rules = b'[{"match": {"body": %b}, "fault": {"status": 503}}]' % nested(90)
    scenario = b'{"name": "a", "description": "a", "rules": %b}' % rules
    assert frozen.put("/__mock/scenario", content=scenario).status_code == 200
    answers = [frozen.post("/v1/render/jobs", content=nested(depth)) for depth in (90, 900, DEEP)]
    assert [answer.status_code for answer in answers] == [503, 400, 400]


@pytest.mark.parametrize("depth", [100, 250, 260, 500, 1000, 5000])
def test_a_deep_movie_is_taken_or_refused(frozen: httpx.Client, depth: int) -> None:
    """However deep, it is shown again as it came, or refused."""
    scene = b'{"id": "a", "duration": 1, "layers": [{"type": "text", "x-deep": %b}]}' % nested(depth)
    body = b'{"kind": "movie", "projectId": "proj_1", "movie": {"scenes": [%b]}}' % scene
    answer = frozen.post("/v1/render/jobs", content=body, headers={"content-type": "application/json"})
    if answer.status_code == 202:
        assert frozen.get(f"/v1/jobs/{answer.json()['jobId']}").status_code == 200
    else:
        assert refusal(answer) == (400, "VALIDATION_ERROR")


PATHS = [
    "../../etc/passwd",
    "..%2f..%2fetc%2fpasswd",
    "%2e%2e/happy",
    "/etc/passwd",
    "happy\\..\\happy",
    "happy.yaml",
    "./happy",
    "C:\\happy",
    "~/happy",
    "file:///etc/passwd",
    "happy/",
    "",
    "x" * 5_000,
]


@pytest.mark.parametrize("name", PATHS)
def test_no_path_is_a_scenario(frozen: httpx.Client, name: str) -> None:
    """By header, `projectId` and order alike: names are looked up, never opened."""
    answers = [
        frozen.get("/v1/jobs", headers={"x-mock-scenario": name}),
        frozen.post("/v1/render/jobs", json=movie(projectId=f"proj_mock_{name}")),
        frozen.put("/__mock/scenario", json={"name": name}),
        frozen.put("/__mock/scenario", json={"name": f"{name}\0"}),
    ]
    assert [refusal(answer) for answer in answers] == [(400, "VALIDATION_ERROR")] * 4
    assert not any("root:" in answer.text for answer in answers)


# What reaches the headers of an answer.

SPLIT = "a\r\nx-injected: yes"


def heads(server: LiveServer, request: bytes) -> bytes:
    """Send a request as it is and return all that comes back."""
    with socket.create_connection(("127.0.0.1", httpx.URL(server.base_url).port or 0), timeout=5) as line:
        line.sendall(request)
        line.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: line.recv(65536), b""))


@pytest.mark.parametrize(
    "rules",
    [
        [{"respond": {"status": 200, "body": {}, "headers": {"x-a": SPLIT}}}],
        [{"respond": {"status": 200, "body": {}, "headers": {SPLIT: "a"}}}],
        [{"respond": {"error": "FORBIDDEN", "headers": {"retry-after": "1\n2"}}}],
        [{"fault": {"wrong_content_type": "text/html\r\nx-injected: yes"}}],
        [{"fault": {"wrong_content_type": "text/html\n"}}],
        [{"respond": {"status": 200, "body": {}, "headers": {"x-a": "\u0100"}}}],
        [{"respond": {"status": 200, "body": {}, "headers": {"": "a"}}}],
    ],
)
def test_no_scenario_splits_a_header(frozen: httpx.Client, rules: object) -> None:
    """A line break, or what is no ASCII, is refused where it is written."""
    answer = frozen.put("/__mock/scenario", json={"name": "a", "description": "a", "rules": rules})
    assert refusal(answer) == (400, "VALIDATION_ERROR")


@pytest.mark.parametrize("value", ["text/html\\r\\nx-injected: yes", "text/html\\n", "\\u0000", "text/h\\u00e9"])
def test_no_fault_of_a_header_splits_one(frozen: httpx.Client, value: str) -> None:
    """JSON in `X-Mock-Fault` may escape what no header can hold: the media type stays one."""
    answer = frozen.get("/v1/jobs", headers={"x-mock-fault": f'{{"wrong_content_type": "{value}"}}'})
    assert refusal(answer) == (400, "VALIDATION_ERROR")
    assert "x-injected" not in answer.headers


@pytest.mark.parametrize("seed", ["a\r\nx-injected: yes", "a\n", "\u0100", "a\0b"])
def test_no_seed_splits_a_header(start_mock: StartMock, seed: str) -> None:
    """The seed is a header's value: what cannot be one is refused at the start, or never sent as it is."""
    try:
        server = start_mock(Settings(clock=Mode.FROZEN, seed=seed))
    except SettingsError as error:
        assert "seed" in str(error)  # noqa: PT017 - either will do
        return
    came = heads(server, b"GET /v1/jobs HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
    assert came.startswith(b"HTTP/1.1 401 ")
    assert b"\r\nx-injected" not in came


GARBAGE = [
    "=", "=1", ",,,", "latency=", "latency=-1s", "latency=NaN", "status=200", "status=9" * 9, "latency=1s, latency=2s",
    "{", "{}", "[]", '{"latency": {"mean": "1s", "jitter": -1}}', '{"latency": 1e400}', '{"status": 503.5}', "null",
    "drop_after_events=99999999999999999999", "duplicate=1000000", "timeout=never", "é", "a" * 30_000,
    '{"a":' * 2000 + "1" + "}" * 2000, "truncated_body=2", "latency=1e5s", "slow_body=9999h", '{"latency": true}',
]  # fmt: skip


@pytest.mark.parametrize("text", GARBAGE, ids=lambda text: text[:30])
def test_garbage_in_the_fault_header_is_refused(frozen: httpx.Client, text: str) -> None:
    """With the place that is wrong, and without repeating kilobytes of it."""
    answer = frozen.get("/v1/jobs", headers={b"x-mock-fault": text.encode()})
    assert refusal(answer) == (400, "VALIDATION_ERROR")
    assert len(answer.content) < 5_000


@given(text=st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=60))
def test_law_any_fault_header_is_read_or_refused(text: str) -> None:
    """Nothing that a header can hold makes an error that nobody foresaw."""

    async def asked() -> tuple[int | None, list[Any]]:
        async with InProcess() as it:
            return (await it.call("GET", "/v1/jobs", headers={"x-mock-fault": text})).status, it.bugs

    status, bugs = asyncio.run(asked())
    assert (bugs, status in (200, 400)) == ([], True)


# Webhooks as a way to other machines.

TARGETS = [
    "http://169.254.169.254/latest/meta-data/",
    "http://[::ffff:169.254.169.254]/",
    "http://10.0.0.1/",
    "http://192.168.1.1/",
    "http://0.0.0.0.example.com/",
    "http://127.0.0.1@example.com/",
    "http://example.com#@127.0.0.1/",
    "http://127.0.0.1.example.com/",
    "http://localhost.example.com/",
    "http://metadata.google.internal/",
    "https://example.com/",
    "http://example.com\\@127.0.0.1/",
    "http://①②⑦.0.0.1/",
    "http://[fd00::1]/",
]


@pytest.mark.parametrize("url", TARGETS)
def test_no_webhook_leaves_this_machine(frozen: httpx.Client, url: str) -> None:
    """It is refused in the log, or the submission is: nobody is connected to."""
    submitted = frozen.post("/v1/render/jobs", json=movie(callbackUrl=url))
    if submitted.status_code != 202:
        assert refusal(submitted) == (400, "VALIDATION_ERROR")
        return
    frozen.post("/__mock/clock/advance", json={"seconds": 60}, timeout=30)
    deliveries = frozen.get("/__mock/deliveries").json()["deliveries"]
    assert {"refused"} == {each["outcome"] for each in deliveries}
    assert {"refused_target"} == {attempt["problem"] for each in deliveries for attempt in each["attempts"]}


# Bodies.


def pieces(total: int) -> Iterator[bytes]:
    """Yield this many bytes, a piece at a time."""
    piece = b"x" * 65_536
    for _ in range(total // len(piece) + 1):
        yield piece


@pytest.mark.parametrize("path", ["/v1/render/jobs", "/__mock/clock/advance"])
@pytest.mark.parametrize("is_chunked", [True, False])
def test_one_byte_too_many_is_refused(frozen: httpx.Client, path: str, is_chunked: bool) -> None:
    """1 MiB and a byte, announced or not."""
    body = b" " * (2**20 + 1)
    answer = frozen.post(path, content=iter([body]) if is_chunked else body)
    assert refusal(answer) == (413, "PAYLOAD_TOO_LARGE")


@pytest.mark.parametrize("path", ["/v1/render/jobs", "/__mock/clock/advance"])
def test_a_hundred_megabytes_take_no_memory(frozen: httpx.Client, path: str) -> None:
    """A body without end is refused long before its end, and not kept."""
    tracemalloc.start()
    try:
        answer = frozen.post(path, content=pieces(100_000_000), timeout=30)
        peak = tracemalloc.get_traced_memory()[1]
        assert refusal(answer) == (413, "PAYLOAD_TOO_LARGE")
    except httpx.TransportError:  # the server has hung up while we were sending
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 20_000_000
    assert frozen.get("/v1/jobs").status_code == 200


# Many at once.


def keys(number: int) -> list[str]:
    return [f"vs_prod_{each:032x}" for each in range(number)]


def test_sandboxes_are_bounded_and_the_idlest_goes_first(start_mock: StartMock) -> None:
    """Five hundred keys find room for fifty; one with an open stream is in use and stays, everybody is answered."""
    server = start_mock(Settings(clock=Mode.FROZEN, sandboxes=50))
    hooked = movie(callbackUrl="http://127.0.0.1:9/")
    with ExitStack() as stack:
        first, idle = (
            stack.enter_context(httpx.Client(base_url=server.base_url, headers={"x-api-key": key}, timeout=20))
            for key in (SOME_KEY, "vs_prod_" + "1d" * 16)
        )
        watched, job = (each.post("/v1/render/jobs", json=hooked).json()["jobId"] for each in (first, idle))
        stack.enter_context(first.stream("GET", f"/v1/jobs/{watched}/progress"))
        others = stack.enter_context(httpx.Client(base_url=server.base_url, timeout=20))
        statuses = {others.get("/v1/jobs", headers={"x-api-key": key}).status_code for key in keys(500)}
        assert (statuses, len(server.app.mock.sandboxes)) == ({200}, 50)
        assert (first.get(f"/v1/jobs/{watched}").status_code, idle.get(f"/v1/jobs/{job}").status_code) == (200, 404)
    assert server.bugs == []


class Deaf(Receiver):
    """A receiver that never answers."""

    async def __call__(self, request: WebhookRequest) -> Reply:
        """Take a webhook and say nothing."""
        self.got.append((request, None))
        await asyncio.Event().wait()
        raise AssertionError


def test_a_dropped_sandbox_sends_no_more() -> None:
    """What was under way is given up, and nobody is left who waits."""

    async def left() -> tuple[int, int]:
        async with InProcess(Mode.AUTO, sandboxes=2) as it:
            it.mock.sender = receiver = Deaf()
            await it.call("POST", "/v1/render/jobs", movie(callbackUrl="http://127.0.0.1:9/"), key=SOME_KEY)
            await it.quiet()
            for key in keys(3):
                await it.call("GET", "/v1/me", key=key)
            await it.quiet()
            return len(receiver.got), len(asyncio.all_tasks())

    assert asyncio.run(left()) == (1, 1)


def test_an_idle_sandbox_is_small() -> None:
    """A key that called once costs less than ten kilobytes: ten thousand of them, 100 MB at most."""

    async def grown(number: int) -> float:
        async with InProcess() as it:
            await it.call("GET", "/v1/me", key="vs_prod_" + "f" * 32)
            tracemalloc.start()
            for key in keys(number):
                await it.call("GET", "/v1/me", key=key)
                it.made.clear()
            gc.collect()
            size = tracemalloc.get_traced_memory()[0] / number
            tracemalloc.stop()
            assert len(it.mock.sandboxes) == number + 1
            return size

    assert asyncio.run(grown(1_000)) < 10_000


def test_half_open_connections_keep_nobody_waiting(live_server: LiveServer) -> None:
    """Two hundred clients that began a request and say no more do not keep another from its answer."""
    port = httpx.URL(live_server.base_url).port or 0
    with ExitStack() as stack:
        for number in range(200):
            line = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=5))
            line.sendall(b"POST /v1/render/jobs HTTP/1.1\r\nhost: localhost\r\n"[: 5 + number % 30])
        client = stack.enter_context(live_server.client())
        answer = client.get("/v1/jobs")
    assert answer.status_code == 200
    assert answer.elapsed < QUICK


# The control API.

ODD: list[Any] = [None, True, 0, -1, 1e300, "", "x", "\0", [], [[]], {}, {"a": 1}, "9" * 5_000]
ORDERS = [
    ("PUT", "/scenario", "name"),
    ("PUT", "/faults", "faults"),
    ("PATCH", "/account", "plan"),
    ("PATCH", "/account", "minutesUsed"),
    ("PATCH", "/account", "email"),
    ("PATCH", "/account", "revoked"),
    ("PATCH", "/clock", "now"),
    ("PATCH", "/clock", "mode"),
    ("PATCH", "/clock", "rate"),
    ("POST", "/clock/advance", "seconds"),
    ("POST", "/clock/advance", "to"),
    ("POST", "/clock/advance", "until"),
]


@pytest.mark.parametrize(("method", "path", "key"), ORDERS)
def test_odd_values_in_orders_are_taken_or_refused(frozen: httpx.Client, method: str, path: str, key: str) -> None:
    """Values of every wrong type and size: a clear answer each time, and the mock goes on."""
    for value in ODD:
        try:
            answer = frozen.request(method, f"/__mock{path}", json={key: value})
        except ValueError:  # not JSON
            continue
        assert answer.status_code == 200 or refusal(answer)
    assert frozen.get("/__mock/health").status_code == 200


@pytest.mark.parametrize(
    "body", [b"", b"nul", b"[", b"\xff\xfe", b'{"seconds": 1, "seconds": 2', b"[1]", b'"a"', b"1", nested(DEEP)]
)
@pytest.mark.parametrize(("method", "path"), [(m, p) for m, p, _ in ORDERS])
def test_orders_that_are_no_objects_are_refused(frozen: httpx.Client, method: str, path: str, body: bytes) -> None:
    """Nothing, half of something, or something else."""
    assert refusal(frozen.request(method, f"/__mock{path}", content=body)) == (400, "VALIDATION_ERROR")


@pytest.mark.parametrize("limit", ["0", "-1", "1e9", "9" * 400, "NaN", "", "%00", "1;2", "٣"])
@pytest.mark.parametrize("path", ["/v1/jobs", "/__mock/deliveries", "/__mock/journal"])
def test_absurd_limits_are_refused(frozen: httpx.Client, path: str, limit: str) -> None:
    """A page has a size that is a small number."""
    assert refusal(frozen.get(f"{path}?limit={limit}")) == (400, "VALIDATION_ERROR")


@pytest.mark.parametrize(
    "job_id", ["%00", "..", "..%2f..", "x" * 30_000, "scene_" * 3000, "%ff%fe", "scene_job_1_999999"]
)
def test_absurd_ids_are_not_found(frozen: httpx.Client, job_id: str) -> None:
    """Ids are looked up and nothing else."""
    paths = [f"/v1/jobs/{job_id}", f"/__mock/jobs/{job_id}", f"/__mock/deliveries/{job_id}"]
    answers = [frozen.get(path) for path in paths]
    assert all(refusal(answer)[0] in (400, 404) for answer in answers if answer.status_code != 200)
    assert all(len(answer.content) < 100_000 for answer in answers)


QUERIES = [
    "status=0",
    "status=1e3",
    "status=" + "9" * 5_000,
    "since=yesterday",
    "since=2026-13-01T00:00:00Z",
    "since=2026-01-01T00:00:00",
    "since=0000-01-01T00:00:00Z",
    "until=99999-01-01T00:00:00Z",
    "until=9999-12-31T23:59:59-23:59",
    "since=0001-01-01T00:00:00%2B23:59",
    "until=%00",
    "operation=",
    "anonymous=perhaps",
    "limit=10&limit=20",
    "nonsense=1",
    "jobId=" + "x" * 30_000,
    "code=%ff%fe",
    "operation=..%2f..%2fetc%2fpasswd",
]


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: query[:40])
def test_absurd_questions_to_the_journal_are_refused_or_find_nothing(frozen: httpx.Client, query: str) -> None:
    """Instants that are none, numbers without end, names of nothing."""
    frozen.get("/v1/me")
    answer = frozen.get(f"/__mock/journal?{query}")
    assert answer.status_code == 200 or refusal(answer) == (400, "VALIDATION_ERROR")
    assert len(answer.content) < 60_000


@pytest.mark.parametrize(
    "call_id", ["%00", "..%2f", "call_", "call_outside_", "call_x_" + "9" * 5_000, "x" * 30_000, "%ff"]
)
def test_absurd_call_ids_are_not_found(frozen: httpx.Client, call_id: str) -> None:
    """Ids of calls are looked up and nothing else."""
    assert refusal(frozen.get(f"/__mock/journal/{call_id}"))[0] in (400, 404)
