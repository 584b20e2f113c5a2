"""Clients of kinds that `good` and `bad` do not have, some after snippets in public repositories."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from random import Random  # noqa: TID251 - seeded

import httpx
from tests.conftest import movie
from tests.support.webhook_receiver import Received
from tests.verdict_clients.world import TERMINAL, World, is_signed


def one_scene(seconds: float) -> dict[str, object]:
    return {"scenes": [{"id": "only", "duration": seconds}]}


# ---------------------------------------------------------------- good


def looks_once_more_and_fetches_the_result(world: World) -> None:
    job = world.submit()
    status = world.status(job)
    while status not in TERMINAL:
        status = world.status(job)
        world.sleep(1)
    if world.status(job) == "done":
        world.get(f"/v1/jobs/{job}")


def comes_back_later_in_a_script_of_its_own(world: World) -> None:
    job = world.submit()
    world.sleep(600)
    assert world.status(job, world.connect()) == "done"


def waits_for_half_a_minute_before_it_polls(world: World) -> None:
    job = world.submit(movie=one_scene(30))
    world.sleep(30)
    world.wait(job, 5)


def sleeps_before_each_look(world: World) -> None:
    job = world.submit()
    while True:
        world.sleep(3)
        if world.status(job) in TERMINAL:
            return


def polls_with_growing_waits_up_to_ten_seconds(world: World) -> None:
    job, delay = world.submit(movie=one_scene(60)), 2.0
    while world.status(job) not in TERMINAL:
        world.sleep(delay)
        delay = min(delay * 1.5, 10)


def polls_by_a_strategy_with_jitter(world: World) -> None:
    job, attempt, draw = world.submit(movie=one_scene(60)), 0, Random(3)
    while world.status(job) not in TERMINAL:
        world.sleep(min(2.0**attempt, 30) * draw.uniform(0.5, 1.5))
        attempt += 1


def polls_like_a_quantum_client(world: World) -> None:
    job, wait = world.submit(movie=one_scene(60)), 0.05
    while world.status(job) not in TERMINAL:
        world.sleep(wait)
        wait = min(wait * 1.3, 60)


def takes_webhooks_and_reconciles_by_the_list(world: World) -> None:
    for _ in range(2):
        world.submit(callbackUrl=world.receiver(lambda _: 200))
    for _ in range(4):
        world.sleep(60)
        world.get("/v1/jobs", limit=50)


def retries_a_poll_that_failed(world: World) -> None:
    job = world.submit(movie=one_scene(20))
    world.sleep(3)
    world.arm("getJob", 2, status=504)
    for wait in (1, 2):
        if world.get(f"/v1/jobs/{job}").status_code == 504:
            world.sleep(wait)
    world.wait(job, 3)


def polls_four_jobs_with_a_connection_each(world: World) -> None:
    pollers = [world.connect() for _ in range(4)]
    jobs = {poller: poller.post("/v1/render/jobs", json=movie()).json()["jobId"] for poller in pollers}
    while jobs:
        for poller, job in tuple(jobs.items()):
            if world.status(job, poller) in TERMINAL:
                del jobs[poller]
        world.sleep(3)


def cancels_at_its_deadline_and_makes_sure(world: World) -> None:
    world.scenario("stuck")
    job = world.submit()
    for _ in range(15):
        world.status(job)
        world.sleep(2)
    world.http.post(f"/v1/jobs/{job}/cancel")
    assert world.status(job) == "cancelled"


def shows_a_dashboard(world: World) -> None:
    jobs = [world.submit(movie=one_scene(each)) for each in (5, 20)]
    for _ in range(12):
        listed = world.get("/v1/jobs", limit=20).json()["jobs"]
        for job in (each for each in listed if each["status"] not in TERMINAL):
            world.status(job["jobId"])
        world.sleep(10)
    del jobs


def resumes_its_stream_after_three_seconds_again_and_again(world: World) -> None:
    job, last = world.submit(movie=one_scene(20)), None
    world.arm("streamJobProgress", 3, drop_after_events=3)
    for _ in range(8):
        ids = world.follow(job, last)
        last = ids[-1] if ids else last
        if world.status(job) in TERMINAL:
            return
        world.sleep(3)


def checks_its_account_before_each_submission(world: World) -> None:
    for _ in range(3):
        world.get("/v1/me")
        world.get("/v1/usage")
        world.wait(world.submit(), 2)


def waits_for_a_free_second_after_429_while_polling(world: World) -> None:
    job, draw = world.submit(movie=one_scene(30)), Random(5)
    world.sleep(2)
    world.order("POST", "/exhaust", {"limit": "rate"})
    while (answer := world.get(f"/v1/jobs/{job}")).status_code == 429:
        world.sleep(int(answer.headers["retry-after"]) + draw.uniform(0, 1))
    world.wait(job)


def queues_webhooks_and_answers_202(world: World) -> None:
    seen: set[tuple[str, str]] = set()

    def handle(received: Received) -> int:
        if not is_signed(received):
            return 401
        seen.add((received.document["jobId"], received.document["status"]))
        return 202

    world.arm("submitRenderJob", duplicate=1)
    world.submit(callbackUrl=world.receiver(handle))
    world.sleep(200)


# ---------------------------------------------------------------- bad

POLLS, ENDS, ABANDONS = "polls-no-faster-than", "stops-at-terminal", "cancels-what-it-abandons"
RATE, BACKOFF, REFUSED = "waits-out-retry-after", "backs-off-after-5xx", "does-not-repeat-refused"
OLD = "believes-no-old-status"
RESUMES, STREAMS, WEBHOOKS = "resumes-dropped-streams", "stays-on-its-stream", "answers-webhooks"
AT_ONCE, KEY = "answers-webhooks-at-once", "sends-no-key-in-url"


def polls_every_ten_milliseconds(world: World) -> None:
    job = world.submit()
    for _ in range(100):
        if world.status(job) in TERMINAL:
            return
        world.sleep(0.01)
    world.wait(job)


def sleeps_a_second_after_each_429(world: World) -> None:
    job = world.submit()
    world.order("POST", "/exhaust", {"limit": "rate"})
    while world.get(f"/v1/jobs/{job}").status_code == 429:
        world.sleep(1)
    world.wait(job)


def gives_up_when_a_poll_fails(world: World) -> None:
    job = world.submit(movie=one_scene(600))
    world.status(job)
    world.arm("getJob", status=504)
    world.sleep(3)
    world.get(f"/v1/jobs/{job}")
    world.sleep(300)


def submits_anew_when_a_poll_fails(world: World) -> None:
    for attempt in range(3):
        job = world.submit(movie=one_scene(600))
        world.status(job)
        world.sleep(3)
        if attempt < 2:
            world.arm("getJob", status=503)
        if world.get(f"/v1/jobs/{job}").status_code == 200:
            break
    world.wait(job, 5)


def stops_after_a_hundred_looks(world: World) -> None:
    world.scenario("stuck")
    job = world.submit()
    for _ in range(100):
        world.status(job)
        world.sleep(3)


def knows_done_only(world: World) -> None:
    world.scenario("scene-fails")
    job = world.submit()
    for _ in range(100):
        if world.status(job) == "done":
            return
        world.sleep(2)


def asks_the_list_for_its_one_job_five_times_a_second(world: World) -> None:
    world.submit(movie=one_scene(10))
    for _ in range(60):
        if world.get("/v1/jobs", limit=1).json()["jobs"][0]["status"] in TERMINAL:
            return
        world.sleep(0.2)


def has_ten_tasks_that_poll_one_job(world: World) -> None:
    job, tasks = world.submit(), [world.connect() for _ in range(10)]
    for _ in range(8):
        for task in tasks:
            world.status(job, task)
        world.sleep(0.5)
    world.wait(job)


def renders_thumbnails_before_it_answers(world: World) -> None:
    def handle(_: Received) -> int:
        world.sleep(30)
        return 200

    world.submit(callbackUrl=world.receiver(handle))
    world.sleep(600)


def knows_no_webhook_but_the_last(world: World) -> None:
    world.submit(callbackUrl=world.receiver(lambda received: 200 if received.document["status"] == "done" else 500))
    world.sleep(400)


def checks_the_signature_of_its_own_json(world: World) -> None:
    world.submit(callbackUrl=world.receiver(lambda _: 401))
    world.sleep(400)


def cancels_until_it_works(world: World) -> None:
    job = world.submit()
    world.wait(job)
    for _ in range(10):
        if world.http.post(f"/v1/jobs/{job}/cancel").status_code == 200:
            return


def polls_on_with_a_revoked_key(world: World) -> None:
    job = world.submit()
    world.order("PATCH", "/account", {"revoked": True})
    for _ in range(20):
        world.get(f"/v1/jobs/{job}")
        world.sleep(5)


def reopens_a_broken_stream_at_once(world: World) -> None:
    job = world.submit(movie=one_scene(20))
    world.arm("streamJobProgress", 6, drop_after_events=1)
    for _ in range(7):
        world.follow(job)


def hammers_a_failing_list(world: World) -> None:
    world.arm("listJobs", 20, status=502)
    for _ in range(20):
        world.get("/v1/jobs")
        world.sleep(0.1)


def asks_for_quota_every_minute(world: World) -> None:
    world.order("PATCH", "/account", {"plan": "pro"})
    world.order("POST", "/exhaust", {"limit": "quota"})
    for _ in range(10):
        world.http.post("/v1/render/jobs", json=movie())
        world.sleep(60)


def streams_with_its_key_in_the_query(world: World) -> None:
    job = world.submit()
    with suppress(httpx.HTTPError), httpx.Client(base_url=world.http.base_url) as browser:
        browser.get(f"/v1/jobs/{job}/progress", params={"x-api-key": world.key})
    world.wait(job)


GOOD: tuple[Callable[[World], None], ...] = (
    *(looks_once_more_and_fetches_the_result, comes_back_later_in_a_script_of_its_own),
    *(waits_for_half_a_minute_before_it_polls, sleeps_before_each_look, polls_with_growing_waits_up_to_ten_seconds),
    *(polls_by_a_strategy_with_jitter, polls_like_a_quantum_client, takes_webhooks_and_reconciles_by_the_list),
    *(retries_a_poll_that_failed, polls_four_jobs_with_a_connection_each, cancels_at_its_deadline_and_makes_sure),
    *(shows_a_dashboard, resumes_its_stream_after_three_seconds_again_and_again),
    *(checks_its_account_before_each_submission, waits_for_a_free_second_after_429_while_polling),
    queues_webhooks_and_answers_202,
)

BAD: dict[Callable[[World], None], set[str]] = {
    polls_every_ten_milliseconds: {POLLS},
    sleeps_a_second_after_each_429: {RATE},
    gives_up_when_a_poll_fails: {ABANDONS},
    submits_anew_when_a_poll_fails: {ABANDONS, OLD},
    stops_after_a_hundred_looks: {ABANDONS},
    knows_done_only: {ENDS},
    asks_the_list_for_its_one_job_five_times_a_second: {POLLS},
    has_ten_tasks_that_poll_one_job: {POLLS},
    renders_thumbnails_before_it_answers: {AT_ONCE, WEBHOOKS},
    knows_no_webhook_but_the_last: {WEBHOOKS},
    checks_the_signature_of_its_own_json: {WEBHOOKS},
    cancels_until_it_works: {REFUSED},
    polls_on_with_a_revoked_key: {REFUSED},
    reopens_a_broken_stream_at_once: {RESUMES, STREAMS, BACKOFF},
    hammers_a_failing_list: {BACKOFF},
    asks_for_quota_every_minute: {REFUSED},
    streams_with_its_key_in_the_query: {KEY},
}
