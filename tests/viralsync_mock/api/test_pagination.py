"""Pages of jobs: complete, without repetition, newest first, whatever happens between two of them."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.conftest import LiveServer, movie

from viralsync_mock.clock import Mode
from viralsync_mock.settings import Settings

SHORT = movie(movie={"scenes": [{"id": "only", "duration": 1}]})


@pytest.fixture
def account(live_server: LiveServer) -> Iterator[httpx.Client]:
    """Yield a client that may have any number of jobs, on a frozen clock."""
    with live_server.client(plan="enterprise", clock="frozen") as client:
        yield client


@pytest.fixture
def unlimited(start_mock: Callable[[Settings], LiveServer]) -> Iterator[LiveServer]:
    """Yield a mock without a rate limit, on a frozen clock."""
    server = start_mock(Settings(clock=Mode.FROZEN, check_answers=True, is_rate_limited=False))
    yield server
    assert server.bugs == []


def submitted(client: httpx.Client, number: int = 1, scenario: str = "") -> list[str]:
    """Submit this many movies and return their jobs' ids, the oldest first."""
    headers = {"x-mock-scenario": scenario} if scenario else {}
    answers = [client.post("/v1/render/jobs", json=SHORT, headers=headers) for _ in range(number)]
    return [answer.json()["jobId"] for answer in answers]


def page(client: httpx.Client, **parameters: Any) -> tuple[list[str], str | None]:
    """Return the ids of a page, and the cursor of the next."""
    answer = client.get("/v1/jobs", params={key: value for key, value in parameters.items() if value is not None})
    assert answer.status_code == 200, answer.text
    return [job["jobId"] for job in answer.json()["jobs"]], answer.json()["nextCursor"]


def pages(client: httpx.Client, **parameters: Any) -> Iterator[list[str]]:
    """Yield the ids of page after page."""
    cursor = None
    while True:
        ids, cursor = page(client, cursor=cursor, **parameters)
        yield ids
        if cursor is None:
            return


# Pages


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 8, 100])
def test_pages_hold_every_job_once_the_newest_first(account: httpx.Client, limit: int) -> None:
    """All pages together are the list; each but the last is full, and the last is never an empty one too many."""
    made = submitted(account, 7)
    found = list(pages(account, limit=limit))
    assert [job for ids in found for job in ids] == made[::-1]
    assert {len(ids) for ids in found[:-1]} <= {limit}
    assert len(found) == -(-7 // limit)


def test_a_page_holds_25_jobs_unless_told_otherwise(account: httpx.Client) -> None:
    """The default limit is the documented one."""
    made = submitted(account, 26)
    assert list(pages(account)) == [made[:0:-1], made[:1]]


def test_a_page_holds_100_jobs_at_most(unlimited: LiveServer) -> None:
    """The largest limit is taken as it is."""
    with unlimited.client(plan="enterprise", clock="frozen") as client:
        submitted(client, 101)
        assert [len(ids) for ids in pages(client, limit=100)] == [100, 1]


def test_without_jobs_there_is_one_empty_page(client: httpx.Client) -> None:
    """An empty list is a page, not an error."""
    assert client.get("/v1/jobs").json() == {"jobs": [], "nextCursor": None}


def test_a_listed_job_is_the_job(account: httpx.Client) -> None:
    """The list shows exactly what one reads by id, and children only in their parent's counts."""
    (made,) = submitted(account)
    assert account.get("/v1/jobs").json()["jobs"] == [account.get(f"/v1/jobs/{made}").json()]


def test_the_list_of_another_key_is_another_list(live_server: LiveServer) -> None:
    """Nobody sees the jobs of somebody else."""
    with live_server.client() as one, live_server.client() as other:
        made = submitted(one)
        assert (page(one)[0], page(other)[0]) == (made, [])


def test_on_an_auto_clock_listing_moves_jobs_on(client: httpx.Client) -> None:
    """A client that polls the list alone sees its job end too."""
    submitted(client)
    for _ in range(30):
        (job,) = client.get("/v1/jobs").json()["jobs"]
    assert job["status"] == "done"


between_pages = st.lists(st.tuples(st.sampled_from(["add", "delete"]), st.integers(0, 99)), max_size=4)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 12), st.integers(1, 5), st.lists(between_pages, max_size=4))
def test_pages_hold_still_while_jobs_come_and_go(
    unlimited: LiveServer, number: int, limit: int, meanwhile: list[list[tuple[str, int]]]
) -> None:
    """No job is repeated; none is missed that was there from the first page to the last; no later one slips in."""
    with unlimited.client(plan="enterprise", clock="frozen") as client:
        made = submitted(client, number)
        alive, seen = list(made), list[str]()
        events = iter(meanwhile)
        for ids in pages(client, limit=limit):
            seen += ids
            for event, pick in next(events, []):
                if event == "add":
                    alive += submitted(client)
                elif alive:
                    job = alive.pop(pick % len(alive))
                    client.post(f"/v1/jobs/{job}/cancel")
                    assert client.delete(f"/v1/jobs/{job}").status_code == 200
    assert seen == sorted(set(seen) & set(made), key=made.index, reverse=True)
    assert set(made) & set(alive) <= set(seen)


# Cursors


def test_a_cursor_can_be_used_again(account: httpx.Client) -> None:
    """The same cursor gives the same page, also after the job that it came from is gone."""
    made = submitted(account, 4)
    first, cursor = page(account, limit=2)
    before = page(account, limit=2, cursor=cursor)
    account.post(f"/v1/jobs/{first[-1]}/cancel")
    account.delete(f"/v1/jobs/{first[-1]}")
    assert (before, page(account, limit=2, cursor=cursor)) == ((made[1::-1], None), (made[1::-1], None))


def test_a_cursor_goes_with_other_filters(account: httpx.Client) -> None:
    """It says where, not what."""
    made = submitted(account, 4)
    account.post(f"/v1/jobs/{made[0]}/cancel")
    cursor = page(account, limit=2)[1]
    assert page(account, cursor=cursor, status="cancelled")[0] == made[:1]


def wrong_cursors(cursor: str) -> Iterator[str]:
    """Yield cursors that are nearly right."""
    for index, character in enumerate(cursor):
        other = "A" if character != "A" else "B"
        yield cursor[:index] + other + cursor[index + 1 :]
        yield cursor[:index] + cursor[index + 1 :]
    yield from (cursor * 2, f" {cursor}", f"{cursor} ", f"{cursor}=", f"{cursor}\n", cursor.swapcase(), cursor[::-1])
    text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
    number, _, rest = text.partition(":")
    for forged in (f"{int(number) - 1}:{rest}", f"0{text}", f" {text}", f"+{text}", f"{text}:1", f"{number}:{rest}\0"):
        yield base64.urlsafe_b64encode(forged.encode()).decode().rstrip("=")


def test_a_tampered_cursor_is_refused(unlimited: LiveServer) -> None:
    """Every cursor but the one that was given out is refused: none is taken for a near one."""
    with unlimited.client(plan="enterprise", clock="frozen") as client:
        submitted(client, 3)
        cursor = page(client, limit=1)[1]
        assert cursor is not None
        answers = {wrong: client.get("/v1/jobs", params={"cursor": wrong}) for wrong in wrong_cursors(cursor)}
    assert len(answers) > 2 * len(cursor)
    assert [wrong for wrong, answer in answers.items() if answer.status_code != 400] == []


def test_the_cursor_of_another_account_is_refused(live_server: LiveServer) -> None:
    """A cursor is of one sandbox."""
    with live_server.client(plan="enterprise") as one, live_server.client(plan="enterprise") as other:
        submitted(one, 2)
        submitted(other, 2)
        answer = other.get("/v1/jobs", params={"cursor": page(one, limit=1)[1]})
    assert (answer.status_code, answer.json()["code"]) == (400, "VALIDATION_ERROR")
    assert "query.cursor: expected the nextCursor of an earlier page" in answer.json()["error"]


@pytest.mark.parametrize(
    "cursor", ["x", "null", "1", "%", "\u00e9", "\U0001f600", "a" * 5000, "MTox", "=", "-_-_", "\0"]
)
def test_a_made_up_cursor_is_refused(client: httpx.Client, cursor: str) -> None:
    """Nothing is guessed from what the mock never said."""
    answer = client.get("/v1/jobs", params={"cursor": cursor})
    assert (answer.status_code, answer.json()["code"]) == (400, "VALIDATION_ERROR")


# Filters


@pytest.fixture
def mixed(account: httpx.Client, live_server: LiveServer) -> dict[str, list[str]]:
    """Return the ids of jobs by status: two of each that can be had at once, the oldest first."""
    made: dict[str, list[str]] = {"done": [], "failed": [], "cancelled": [], "queued": []}
    sandbox = live_server.app.mock.sandbox(account.headers["x-api-key"])
    for _ in range(2):
        made["done"] += submitted(account, scenario="instant")
        made["failed"] += submitted(account, scenario="scene-fails")
        made["cancelled"] += submitted(account)
        account.post(f"/v1/jobs/{made['cancelled'][-1]}/cancel")
        made["queued"] += submitted(account, scenario="concurrency-full")
    sandbox.clock.set_time(sandbox.clock.now().replace(minute=5))
    return made


@pytest.mark.parametrize("status", ["queued", "running", "waiting", "done", "failed", "cancelled"])
def test_a_status_selects_its_jobs(account: httpx.Client, mixed: dict[str, list[str]], status: str) -> None:
    """In their order, page by page."""
    expected = mixed.get(status, [])[::-1]
    assert page(account, status=status)[0] == expected
    assert [job for ids in pages(account, status=status, limit=1) for job in ids] == expected


@pytest.mark.parametrize(
    ("wanted", "is_found"),
    [
        *(("render", True), ("render.movie", False), ("render.scene", False), ("rend", False), ("Render", False)),
        *(("agent.chat", False), ("publish", False), ("", False), ("render.", False), ("*", False)),
    ],
)
def test_a_type_selects_its_domain(account: httpx.Client, wanted: str, is_found: bool) -> None:
    """An unknown type gives an empty page, never an error."""
    made = submitted(account, 2)
    assert page(account, type=wanted) == (made[::-1] if is_found else [], None)


@pytest.mark.parametrize("wanted", ["render", "render.movie"])
def test_render_stands_for_every_type_below_it(
    start_mock: Callable[[Settings], LiveServer], tmp_path: Any, wanted: str
) -> None:
    """Where jobs have the longer type, both filters find them."""
    profile = tmp_path / "behaviour.yaml"
    profile.write_text("job: {type: render.movie}\n")
    server = start_mock(Settings(clock=Mode.FROZEN, behaviour=profile))
    with server.client() as client:
        made = submitted(client, 2)
        assert page(client, type=wanted) == (made[::-1], None)
        assert server.bugs == []


def test_filters_go_together(account: httpx.Client, mixed: dict[str, list[str]]) -> None:
    """Status and type both have to fit."""
    assert page(account, status="done", type="render")[0] == mixed["done"][::-1]
    assert page(account, status="done", type="agent.chat") == ([], None)


def test_pages_of_a_filter_end_with_its_last_job(account: httpx.Client, mixed: dict[str, list[str]]) -> None:
    """`nextCursor` is null when no job behind the page fits, however many others are left."""
    assert page(account, status="queued", limit=2) == (mixed["queued"][::-1], None)
    assert next(islice(pages(account, status="failed", limit=1), 1, None)) == mixed["failed"][:1]
