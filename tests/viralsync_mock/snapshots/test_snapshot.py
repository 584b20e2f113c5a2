"""A sandbox written down and opened again: it goes on as the first does, or nothing happens at all."""

from __future__ import annotations

import copy
import json
from base64 import b64decode
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.conftest import LiveServer, movie, shipped
from tests.viralsync_mock.control.test_control import refusal, watched

from viralsync_mock.app import create_app
from viralsync_mock.clock import Mode
from viralsync_mock.control.request import MAX_SNAPSHOT
from viralsync_mock.jobs.models import at_once
from viralsync_mock.server import BackgroundServer
from viralsync_mock.settings import Settings
from viralsync_mock.snapshots.snapshot import create_snapshot, restore
from viralsync_mock.validation.schema import ValidationFailed, Violation
from viralsync_mock.webhooks.dispatcher import WebhookDispatcher
from viralsync_mock.webhooks.sender import DeliveryFailed, Reply, WebhookRequest

StartMock = Callable[[Settings], LiveServer]

HOOK = "http://127.0.0.1:9/hook"
SNAPSHOT = "/__mock/snapshot"
INLINE = {
    "name": "mine",
    "description": "Some of everything that a scenario holds.",
    "account": {"plan": "business", "minutes_used": 3},
    "job": {"queued": {"mean": 2, "jitter": 1}, "scene": {"per_output_second": {"mean": 2, "jitter": 1}}},
    "rules": [
        {"match": {"operation": "getJob", "every": 3}, "respond": {"error": "SERVICE_UNAVAILABLE"}},
        {"match": {"operation": "listJobs", "probability": 0.5}, "fault": {"status": 500}},
        {"match": {"operation": "getMe", "after": "30s", "times": 1}, "respond": {"status": 200, "body": {"x": 1}}},
    ],
    "limits": {"rate": "30/20s"},
    "webhooks": {"secret": "another", "deliver": {"duplicate": 1}},
    "behaviour": {"job": {"children_counted": "scenes+assemble"}},
}
FAULTS = [
    {"fault": {"status": 503}, "match": {"operation": "getUsage", "every": 2}, "times": 2},
    {"fault": {"latency": "1ms"}, "probability": 0.5, "for": "20s"},
    {"fault": {"reorder": True}, "probability": 0.5},
]


@dataclass
class Post:
    """Takes every webhook down; those whose number can be divided by three do not get through."""

    sent: list[tuple[str, bytes, Any]] = field(default_factory=list)

    async def __call__(self, request: WebhookRequest) -> Reply:
        """Answer by what is sent alone: both sides of a comparison get the same."""
        self.sent.append((request.url, request.body, request.headers))
        if sum(request.body) % 3 == 0:
            raise DeliveryFailed("unreachable", "Nobody is at home.")
        return Reply(200, (("x-seen", "yes"),), b"\xff seen")

    async def close(self) -> None:
        """Hold nothing."""


@dataclass
class Side:
    """One of the two sandboxes that are compared; `key` and what is derived from it shows nowhere in `see`."""

    server: LiveServer
    key: str
    post: Post
    http: httpx.Client

    def see(self, method: str, path: str, body: Any = None, headers: Any = None) -> tuple[Any, ...]:
        """Make a call; return all of the answer that does not come from the key."""
        answer = self.http.request(method, path, json=body, headers=headers)
        sandbox = self.server.app.mock.sandbox(self.key)
        text = answer.text.replace(sandbox.user_id, "USER")
        left_out = {"x-mock-call-id", "content-length"}
        lines = [(name, value) for name, value in answer.headers.items() if name not in left_out]
        return path, answer.status_code, lines, text, answer.headers.get("x-mock-call-id", "").split("_")[-1]

    def snapshot(self) -> bytes:
        """Return the snapshot of the sandbox."""
        return self.http.get(SNAPSHOT).content


def started(options: Settings) -> Iterator[tuple[LiveServer, Post]]:
    """Start a mock whose webhooks go nowhere."""
    app, post = create_app(options), Post()
    app.mock.sender = post
    with BackgroundServer(app) as server:
        live = LiveServer(app, server.base_url)
        yield live, post
        assert live.bugs == []


@pytest.fixture(scope="module")
def here() -> Iterator[tuple[LiveServer, Post]]:
    """Yield a mock as it is without options, but for its clock."""
    yield from started(Settings(clock=Mode.FROZEN, check_answers=True))


@pytest.fixture(scope="module")
def there() -> Iterator[tuple[LiveServer, Post]]:
    """Yield a mock of another scenario, behaviour profile and clock."""
    other = shipped("fixtures/behaviours/other-readings.yaml")
    yield from started(Settings(clock=Mode.REAL, scenario="scene-fails", behaviour=other, check_answers=True))


Sides = Callable[[], tuple[Side, Side]]


@pytest.fixture
def sides(here: tuple[LiveServer, Post], there: tuple[LiveServer, Post]) -> Iterator[Sides]:
    """Yield what opens two sandboxes, one on each server, under keys of their own."""
    clients: list[httpx.Client] = []

    def side(server: LiveServer, post: Post, key: str) -> Side:
        clients.append(httpx.Client(base_url=server.base_url, headers={"x-api-key": key}, timeout=20))
        server.app.mock.sandboxes.drop(key)
        post.sent.clear()
        return Side(server, key, post, clients[-1])

    yield lambda: (side(*here, "vs_prod_" + "a" * 32), side(*there, "vs_prod_" + "b" * 32))
    for client in clients:
        client.close()


# ---------------------------------------------------------------- what a history is made of


Act = tuple[str, str, Any, Any]

JOB = st.integers(0, 5).map(lambda number: f"JOB{number}")
SCENARIOS = st.sampled_from([{"name": "flaky"}, {"name": "scene-fails"}, INLINE])
CHANGES = st.sampled_from(
    [{"status": "done"}, {"status": "failed"}, {"status": "waiting"}, {"progress": 0.4}, {"progress": 0.9}]
)
ACCOUNTS = st.sampled_from([{"plan": "enterprise"}, {"plan": "pro"}, {"minutesUsed": 199.9}, {"email": "a@b.example"}])
HEADERS = st.sampled_from([None, {"x-mock-scenario": "upload-fails"}, {"x-mock-fault": "lost_response=1, duplicate=2"}])
ACTS: st.SearchStrategy[Act] = st.one_of(
    st.tuples(
        st.just("POST"),
        st.just("/v1/render/jobs"),
        st.sampled_from([movie(), movie(callbackUrl=HOOK), movie(renderOptions={"requestedConcurrency": 1})]),
        HEADERS,
    ),
    st.tuples(
        st.just("POST"),
        st.just("/__mock/clock/advance"),
        st.sampled_from([0.25, 1, 2.3, 5, 12, 61]).map(lambda seconds: {"seconds": seconds}),
        st.none(),
    ),
    st.tuples(st.just("POST"), JOB.map("/v1/jobs/{}/cancel".format), st.none(), st.none()),
    st.tuples(st.just("DELETE"), JOB.map("/v1/jobs/{}".format), st.none(), st.none()),
    st.tuples(st.just("GET"), JOB.map("/v1/jobs/{}".format), st.none(), st.none()),
    st.tuples(st.just("PATCH"), JOB.map("/__mock/jobs/{}".format), CHANGES, st.none()),
    st.tuples(st.just("PUT"), st.just("/__mock/faults"), st.just({"faults": FAULTS}), st.none()),
    st.tuples(st.just("PATCH"), st.just("/__mock/account"), ACCOUNTS, st.none()),
    st.tuples(st.just("PUT"), st.just("/__mock/scenario"), SCENARIOS, st.none()),
    st.tuples(st.just("PATCH"), st.just("/__mock/clock"), st.just({"mode": "frozen"}), st.none()),
    st.tuples(st.just("GET"), st.sampled_from(["/v1/me", "/v1/usage", "/v1/jobs"]), st.none(), st.none()),
    st.tuples(st.just("MANY"), st.just("/v1/me"), st.none(), st.none()),
)
ALL: Sequence[Act] = [
    ("GET", "/v1/jobs?limit=2", None, None),
    ("GET", "/v1/jobs?status=running", None, None),
    ("GET", "/v1/usage", None, None),
    ("GET", "/v1/me", None, None),
    ("GET", "/__mock/jobs", None, None),
    ("GET", "/__mock/faults", None, None),
    ("GET", "/__mock/deliveries", None, None),
    ("GET", "/__mock/account", None, None),
    ("GET", "/__mock/jobs/JOB0", None, None),
    ("POST", "/v1/render/jobs", movie(callbackUrl=HOOK), None),
    ("POST", "/__mock/clock/advance", {"seconds": 7}, None),
    ("POST", "/__mock/clock/advance", {"seconds": 100}, None),
    ("GET", "/v1/jobs/JOB0/progress", None, None),
    ("GET", "/v1/jobs", None, None),
    ("GET", "/v1/usage", None, None),
]


def played(side: Side, acts: Sequence[Act], ids: list[str]) -> list[tuple[Any, ...]]:
    """Make these calls; `ids` are those of the jobs so far."""
    seen: list[tuple[Any, ...]] = []
    for method, template, body, headers in acts:
        number = int(template.partition("JOB")[2][:1] or 0)
        path = template.replace(f"JOB{number}", ids[number] if number < len(ids) else "job_unknown")
        for _ in range(35 if method == "MANY" else 1):
            seen.append(side.see("GET" if method == "MANY" else method, path, body, headers))
        if path == "/v1/render/jobs" and seen[-1][1] == 202:
            ids.append(json.loads(seen[-1][3])["jobId"])
    return seen


def restored(one: Side, other: Side, query: str = "") -> bytes:
    """Restore the snapshot of one sandbox as the other; return it."""
    snapshot = one.http.get(SNAPSHOT + query)
    assert snapshot.status_code == 200, snapshot.text
    answer = other.http.put(SNAPSHOT, content=snapshot.content)
    assert answer.status_code == 200, answer.text
    return snapshot.content


# ---------------------------------------------------------------- it goes on


@settings(max_examples=4, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=st.lists(ACTS, max_size=14), future=st.lists(ACTS, max_size=8))
def test_a_restored_sandbox_goes_on_as_the_first_does(sides: Sides, history: list[Act], future: list[Act]) -> None:
    """After any history, the same calls get the same answers, to the byte, on another server under another key."""
    one, other = sides()
    ids: list[str] = []
    played(one, history, ids)
    snapshot = restored(one, other)
    assert snapshot == other.snapshot()
    one.post.sent.clear()
    other.post.sent.clear()
    acts = [*future, *ALL]
    assert played(one, acts, list(ids)) == played(other, acts, list(ids))
    assert (one.post.sent, one.snapshot()) == (other.post.sent, other.snapshot())


@pytest.fixture
def rich(sides: Sides) -> tuple[Side, Side]:
    """Fill the first of two sandboxes with some of everything that a snapshot holds."""
    one, other = sides()
    played(one, RICH, [])
    return one, other


RICH: Sequence[Act] = [
    ("PUT", "/__mock/scenario", INLINE, None),
    ("PUT", "/__mock/faults", {"faults": FAULTS}, None),
    ("PATCH", "/__mock/account", {"plan": "enterprise", "email": "ada@example.com", "minutesUsed": 5}, None),
    ("POST", "/v1/render/jobs", movie(callbackUrl=HOOK), {"x-mock-fault": "reorder, drop=progress"}),
    ("POST", "/v1/render/jobs", movie(callbackUrl=HOOK), {"x-mock-scenario": "happy"}),
    ("POST", "/v1/render/jobs", movie(callbackUrl=HOOK), {"x-mock-scenario": "scene-fails"}),
    ("POST", "/__mock/clock/advance", {"seconds": 4}, None),
    ("PATCH", "/__mock/jobs/JOB0", {"progress": 0.5}, None),
    ("POST", "/v1/jobs/JOB1/cancel", None, None),
    ("PATCH", "/__mock/jobs/JOB2", {"status": "failed"}, None),
    ("GET", "/v1/jobs", None, None),
    ("POST", "/__mock/clock/advance", {"seconds": 2}, None),
    ("DELETE", "/v1/jobs/JOB1", None, None),
    ("GET", "/v1/usage", None, None),
    ("POST", "/v1/render/jobs", movie(kind="picture"), None),
]


def test_the_journal_comes_along_when_it_is_asked_for(rich: tuple[Side, Side]) -> None:
    """Each call is kept with what explains its answer; without `?journal=true` there is none."""
    one, other = rich
    for side in rich:
        watched(side.http)
    snapshot = restored(one, other, "?journal=true")
    assert other.http.get(SNAPSHOT + "?journal=true").content == snapshot
    assert len(json.loads(snapshot)["journal"]) == one.server.app.mock.sandbox(one.key).calls
    assert "journal" not in json.loads(one.snapshot())


def test_an_auto_clock_goes_on_by_itself(sides: Sides) -> None:
    """A webhook that an auto clock has still to wait for is sent after the restoring, with no call made."""
    one, other = sides()
    submit_to(one, callbackUrl=HOOK)
    document = json.loads(one.snapshot())
    document["clock"]["mode"] = "auto"
    assert other.http.put(SNAPSHOT, json=document).status_code == 200
    deadline = count()
    while next(deadline) < 2000 and not any(b'"done"' in body for _, body, _ in other.post.sent):
        other.http.get("/__mock/health")
    assert any(b'"done"' in body for _, body, _ in other.post.sent)


def submit_to(side: Side, **changes: Any) -> str:
    """Submit a movie."""
    return str(side.http.post("/v1/render/jobs", json=movie(**changes)).json()["jobId"])


def test_a_webhook_of_a_deleted_job_is_still_tried_again(sides: Sides) -> None:
    """A job that is gone from the list stays in the snapshot as long as its webhooks need it."""
    one, other = sides()
    job_id = submit_to(one, callbackUrl=HOOK)
    one.server.app.mock.sender = Unreachable()
    one.http.post(f"/v1/jobs/{job_id}/cancel")
    one.http.post("/__mock/clock/advance", json={"seconds": 0})
    assert one.http.delete(f"/v1/jobs/{job_id}").status_code == 200
    one_sandbox = one.server.app.mock.sandbox(one.key)
    assert isinstance(one_sandbox.dispatcher, WebhookDispatcher)
    snapshot = restored(one, other)
    one.server.app.mock.sender = one.post
    assert [job["isDeleted"] for job in json.loads(snapshot)["jobs"]] == [True]
    other.http.post("/__mock/clock/advance", json={"seconds": 20})
    assert other.http.get(f"/v1/jobs/{job_id}").status_code == 404
    assert b'"cancelled"' in other.post.sent[-1][1]


class Unreachable(Post):
    """Gets nothing through."""

    async def __call__(self, request: WebhookRequest) -> Reply:  # noqa: ARG002 - it does the same with each
        """Fail."""
        raise DeliveryFailed("unreachable", "Nobody is at home.")


def test_open_streams_of_the_old_sandbox_end(sides: Sides) -> None:
    """Whoever watches a job of the sandbox that is replaced gets to the end of the stream."""
    one, other = sides()
    job_id = submit_to(other)
    with other.http.stream("GET", f"/v1/jobs/{job_id}/progress") as stream:
        lines = stream.iter_lines()
        next(lines)
        restored(one, other)
        assert all("done" not in line for line in lines)
    assert other.http.get(f"/v1/jobs/{job_id}").status_code == 404


def test_a_snapshot_is_of_one_instant_also_if_it_is_written_in_slices(sides: Sides) -> None:
    """What happens to a large job between two slices is not in it."""
    one, other = sides()
    scenes = [{"id": f"s{number}", "duration": 0.01} for number in range(1_500)]
    job = one.http.post("/v1/render/jobs", json=movie(movie={"scenes": scenes})).json()["jobId"]
    one.http.patch(f"/__mock/jobs/{job}", json={"progress": 0.4}).raise_for_status()
    work = create_snapshot(one.server.app.mock, one.server.app.mock.sandbox(one.key))
    next(work)
    one.http.post(f"/v1/jobs/{job}/cancel").raise_for_status()
    other.http.put(SNAPSHOT, content=at_once(work)).raise_for_status()
    assert other.http.get(f"/v1/jobs/{job}").json()["status"] != "cancelled"
    other.http.post("/__mock/clock/advance", json={"seconds": 3_600})
    assert other.http.get(f"/v1/jobs/{job}").json()["status"] == "done"


def test_a_restored_call_weighs_what_it_holds(sides: Sides) -> None:
    """As much as before, but for the key that is masked: bodies, headers and violations count."""
    one, other = sides()
    submit_to(one, note="x" * 10_000)
    one.http.post("/v1/render/jobs", json={"projectId": [1], "movie": 2})
    restored(one, other, "?journal=true")
    before, after = (
        [each.size for each in side.server.app.mock.sandbox(side.key).journal.oldest_first()] for side in (one, other)
    )
    assert after == [pytest.approx(size, abs=64) for size in before]


# ---------------------------------------------------------------- no keys


def test_no_api_key_gets_into_a_snapshot(sides: Sides) -> None:
    """Neither those of a scenario nor those that a client has put into what it sent."""
    one, other = sides()
    stranger = "vs_prod_" + "c" * 32
    keys = {one.key: {"plan": "enterprise"}, stranger: {"plan": "free"}}
    rules = [{"match": {"header": {"x-api-key": stranger}}, "respond": {"error": "FORBIDDEN"}}]
    one.http.put("/__mock/scenario", json={"name": "keys", "description": "Keys.", "keys": keys, "rules": rules})
    submit_to(one, projectId=f"p-{one.key}", callbackUrl=f"{HOOK}?key={stranger}")
    one.http.post("/__mock/clock/advance", json={"seconds": 3})
    one.http.get(f"/v1/jobs/{one.key}")
    refused = one.http.post("/v1/render/jobs?k=" + stranger, json={"projectId": [stranger]}).json()
    assert "projectId" in refused["error"]
    snapshot = restored(one, other, "?journal=true").decode()
    assert one.key not in snapshot
    assert stranger not in snapshot
    call = json.loads(snapshot)["journal"][-1]
    for kept in (call["query"], call["body"], *(value for _, value in call["headers"])):
        assert stranger.encode() not in b64decode(kept)


def test_the_account_of_the_key_comes_along(sides: Sides) -> None:
    """What a scenario's `keys` give to the key of the snapshot is the account of the restored sandbox."""
    one, other = sides()
    keys = {one.key: {"plan": "enterprise"}, other.key: {"plan": "free"}}
    one.http.put("/__mock/scenario", json={"name": "keys", "description": "Keys.", "keys": keys})
    restored(one, other)
    assert other.http.get("/v1/me").json()["plan"] == "enterprise"


# ---------------------------------------------------------------- what is broken is refused


Trail = tuple[str | int, ...]


def places(value: Any, trail: Trail = ()) -> Iterator[Trail]:
    """Yield every place of a document; of a list of many alike the first two items are enough."""
    parts = value.items() if isinstance(value, dict) else list(enumerate(value))[:2] if isinstance(value, list) else ()
    for key, part in parts:
        yield (*trail, key)
        yield from places(part, (*trail, key))


OTHERS: tuple[Any, ...] = (None, -1, "x", [], {}, 2**70)
INSTANTS: tuple[Any, ...] = (
    None,
    1,
    "2026-01-01T00:00:00",
    "2026-01-01T00:00:00+02:00",
    "1969-12-31T00:00:00Z",
    "9999-12-31T23:59:59Z",
)


PARTS = 4
"""The sweep over all places is cut into this many tests, which run side by side."""


def corrupted(document: Any, trail: Trail) -> Iterator[bytes]:
    """Yield the document with one place missing, null, and of another type."""
    *way, last = trail
    place = document
    for key in way:
        place = place[key]
    value = place[last]
    is_instant = isinstance(value, str) and value.startswith("2026-") and "T" in value
    for other in INSTANTS if is_instant else OTHERS:
        if type(other) is not type(value) or value != other:
            place[last] = other
            yield json.dumps(document).encode()
    place[last] = value
    shorter = copy.copy(place)
    del shorter[last]
    if not way:
        yield json.dumps(shorter).encode()
        return
    holder = document
    for key in way[:-1]:
        holder = holder[key]
    holder[way[-1]] = shorter
    yield json.dumps(document).encode()
    holder[way[-1]] = place


def kinds_of_places(document: Any) -> list[Trail]:
    """Return the places of a document, of those in a list that are alike the first and the second."""
    found: dict[tuple[object, ...], list[Trail]] = {}
    for trail in places(document):
        found.setdefault(tuple("*" if isinstance(key, int) else key for key in trail), []).append(trail)
    return [trail for alike in found.values() for trail in alike[:2]]


@pytest.mark.parametrize("part", range(PARTS))
def test_every_part_that_is_broken_is_refused_or_does_no_harm(rich: tuple[Side, Side], part: int) -> None:
    """Each place in turn, missing or of another kind: a refusal that names a place, or a sandbox that works."""
    one, other = rich
    mock = other.server.app.mock
    document = json.loads(one.http.get(SNAPSHOT + "?journal=true").content)
    other.http.patch("/__mock/clock", json={"mode": "frozen"})
    before, harmless, nowhere = other.snapshot(), list[tuple[Trail, bytes]](), list[Violation]()
    for trail in kinds_of_places(document)[part::PARTS]:
        for raw in corrupted(document, trail):
            try:
                sandbox = restore(mock, other.key, raw).sandbox
            except ValidationFailed as error:
                nowhere += [each for each in error.violations if not (each.location.startswith("$") and each.message)]
            else:
                assert at_once(create_snapshot(mock, sandbox))
                harmless.append((trail, raw))
    assert (other.snapshot(), nowhere) == (before, [])
    for trail, raw in harmless:
        answer = other.http.put(SNAPSHOT, content=raw)
        assert answer.status_code == 200, (trail, answer.text)
        for _, status, _, text, _ in played(other, WORKS, ids_of(document)):
            assert status < 500 or "SERVICE_UNAVAILABLE" in text or "INTERNAL_ERROR" in text, (trail, text)
        assert other.server.bugs == [], trail


WORKS: Sequence[Act] = [
    ("GET", "/v1/jobs", None, {"x-mock-scenario": "happy"}),
    ("GET", "/__mock/jobs/JOB0", None, None),
    ("GET", "/__mock/deliveries", None, None),
    ("GET", "/__mock/journal", None, None),
    ("GET", "/__mock/faults", None, None),
    ("POST", "/__mock/clock/advance", {"seconds": 40}, None),
    ("GET", "/v1/jobs/JOB0", None, {"x-mock-scenario": "happy"}),
    ("GET", "/v1/usage", None, {"x-mock-scenario": "happy"}),
    ("POST", "/v1/render/jobs", movie(), {"x-mock-scenario": "enterprise"}),
]


def ids_of(document: Any) -> list[str]:
    """Return the ids of the jobs of a snapshot."""
    return [str(job["id"]) for job in document["jobs"]]


def changed(document: Any, trail: Trail, value: Any) -> Any:
    """Return the document with another value at one place."""
    changed = copy.deepcopy(document)
    place = changed
    for key in trail[:-1]:
        place = place[key]
    place[trail[-1]] = value
    return changed


@pytest.mark.parametrize(
    ("trail", "value", "text"),
    [
        (("format",), "another", '$.format: expected "viralsync-mock-snapshot", got "another"'),
        (("version",), 2, "$.version: expected 1, got 2"),
        (("spec", "version"), "2.0.0", "$.spec: expected ViralSync API 1.0.0, got ViralSync API 2.0.0"),
        (("spec", "digest"), "abc", "$.spec.digest: expected "),
        (("clock", "mode"), "warp", "$.clock.mode: invalid enum value 'warp'"),
        (("clock", "now"), "2026-01-01T00:00:00Z", " got 2026-01-01T00:00:0"),
        (
            ("opened",),
            "2027-01-01T00:00:00Z",
            "$.opened: expected none after 2026-01-01T00:00:06+00:00, got 2027-01-01",
        ),
        (("account", "plan"), "prro", '$.account.plan: expected one of free, pro, business, enterprise, got "prro".'),
        (("submissions",), 2, "$.submissions: expected at least 3, got 2"),
        (("calls",), 2, "$.calls: expected at least 3, as many as submissions, got 2"),
        (("charged", "2026-01"), -5, "$.charged[...]: expected int >= 0"),
        (
            ("charged", "2026-13"),
            5,
            '$.charged: expected months and days such as 2026-01 and 2026-01-31, got "2026-13"',
        ),
        (("window", 0), "2026-01-01T00:00:05Z", "$.window[1]: expected 2026-01-01T00:00:05+00:00 or later, got"),
        (("scenario",), 9, "$.scenario: expected less than 3, as many as there are, got 9"),
        (("scenarios", 0, "document", "plan"), 1, "$.scenarios[0].document.plan: unknown key."),
        (("scenarios", 1, "document", "job"), {}, '$.scenarios[1].document: expected "happy" as this server ships it'),
        (
            ("behaviours", 0, "sse", "resume"),
            "x",
            '$.behaviours[0].sse.resume: expected "replay" or "snapshot", got "x"',
        ),
        (("armed", "faults", 0, "document", "fault"), {"statuss": 1}, "$.armed.faults[0].fault.statuss: unknown key."),
        (("armed", "faults", 1, "applied"), 99, "$.armed.faults.applied[1]: expected at most "),
        (("jobs", 0, "number"), "1", "$.jobs[0].number: expected int, got str"),
        (("jobs", 0, "workers"), 0, "$.jobs[0].workers: expected int >= 1, got 0"),
        (("jobs", 1, "id"), "job_000000000000", '$.jobs[1].id: expected "job_'),
        (("jobs", 0, "status"), "done", "$.jobs[0].status: expected "),
        (("jobs", 0, "named"), "hapy", '$.jobs[0].named: there is no scenario "hapy". Did you mean "happy"?'),
        (("jobs", 0, "callbackUrl"), "ftp://x", "$.jobs[0].callbackUrl: expected "),
        (
            ("jobs", 0, "payload", "movie", "scenes"),
            [],
            "$.jobs[0].payload.movie.scenes: expected at least 1 item, got 0",
        ),
        (
            ("jobs", 0, "payload", "movie", "scenes", 0, "duration"),
            9e9,
            "$.jobs[0].payload.movie: expected at most 7200 s",
        ),
        (("jobs", 0, "timeline", "emitted", 0, 0), 4, "$.jobs[0].timeline.emitted[0]: expected number 0, got 4"),
        (("jobs", 0, "timeline", "floors", 0, 1), 1, "$.jobs[0].timeline.floors[0]: expected 0 to 0.99, got 1"),
        (
            ("webhooks", "outboxes", 0, "job"),
            77,
            "$.webhooks.outboxes[0].job: expected the number of a job of the snapshot",
        ),
        (("webhooks", "deliveries", 0, "body"), "{", "$.webhooks.deliveries[0].body: expected a text that is JSON"),
        (("webhooks", "made"), 0, "$.webhooks.deliveries[0].number: expected more than 0, at most 0, got 1"),
        (("journal", 0, "rule"), 9, "$.journal[0].rule: expected at most 3, as many as there are, got 9"),
        (("more",), 1, "$: object contains unknown field more"),
    ],
)
def test_a_refusal_names_the_place_and_what_was_expected(
    rich: tuple[Side, Side], trail: Trail, value: Any, text: str
) -> None:
    """What is inconsistent, unknown here or of the wrong kind is refused, and the old sandbox goes on."""
    one, other = rich
    job_id = submit_to(other)
    document = json.loads(one.http.get(SNAPSHOT + "?journal=true").content)
    status, code, message = refusal(watched(other.http).put(SNAPSHOT, json=changed(document, trail, value)))
    assert (status, code, text in message or message) == (400, "VALIDATION_ERROR", True)
    assert other.http.get(f"/v1/jobs/{job_id}").status_code == 200


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"{}", b'"\xff"', b"null", b"[" * 100_000, b'{"format": "\\ud800"}'])
def test_what_is_no_snapshot_is_refused(sides: Sides, raw: bytes) -> None:
    """Whatever else is sent."""
    _, other = sides()
    status, code, message = refusal(other.http.put(SNAPSHOT, content=raw))
    assert (status, code) == (400, "VALIDATION_ERROR"), message
    assert "$" in message


def test_a_large_snapshot_is_read(sides: Sides) -> None:
    """What is too large for every other call is not for this one."""
    one, other = sides()
    answer = other.http.put(SNAPSHOT, content=one.snapshot() + b" " * 3_000_000)
    assert (answer.status_code, MAX_SNAPSHOT) == (200, 256 * 1024 * 1024)
