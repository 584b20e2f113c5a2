"""Clients with a bad habit each, as they are met in the field, and the rules of which one has to notice it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from random import Random  # noqa: TID251 - seeded

import httpx
from tests.conftest import movie
from tests.support.webhook_receiver import Received
from tests.verdict_clients.world import TERMINAL, World, is_signed

BACKOFF, RATE = "backs-off-after-5xx", "waits-out-retry-after"
POLLS, ENDS = "polls-no-faster-than", "stops-at-terminal"
TWICE, REFUSED, AGAIN = "does-not-submit-twice", "does-not-repeat-refused", "does-not-resubmit-failed"
RESUMES, STREAMS = "resumes-dropped-streams", "stays-on-its-stream"
ABANDONS, OLD = "cancels-what-it-abandons", "believes-no-old-status"
PAGES, EVERY = "reads-each-page-once", "reads-every-page"


def retries(world: World, waits: list[float], status: int = 503) -> None:
    world.arm("getMe", len(waits), status=status)
    world.get("/v1/me")
    for wait in waits:
        world.sleep(wait)
        world.get("/v1/me")


def hammers_while_the_service_is_down(world: World) -> None:
    retries(world, [0, 0, 0, 0])


def retries_every_second(world: World) -> None:
    retries(world, [1, 1, 1])


def retries_every_half_minute(world: World) -> None:
    retries(world, [30, 30])


def retries_at_random_about_once_a_second(world: World) -> None:
    retries(world, [Random(1).uniform(0.8, 1.2) for _ in range(6)])


def retries_twice_at_once_after_a_reset(world: World) -> None:
    world.arm("getUsage", 2, reset_peer="before")
    for _ in range(3):
        with suppress(httpx.HTTPError):
            world.get("/v1/usage")


def busy_loop_until_the_outage_is_over(world: World) -> None:
    world.arm("listJobs", 9, status=500)
    while world.get("/v1/jobs").status_code == 500:
        pass


def limited(world: World) -> int:
    world.order("POST", "/exhaust", {"limit": "rate"})
    return int(world.get("/v1/me").headers["retry-after"])


def ignores_retry_after(world: World) -> None:
    limited(world)
    world.get("/v1/me")


def waits_half_of_retry_after(world: World) -> None:
    world.sleep(limited(world) / 2)
    world.get("/v1/me")


def has_its_own_backoff_after_429(world: World) -> None:
    limited(world)
    for wait in (1, 2, 4):
        world.sleep(wait)
        world.get("/v1/me")


def polls_ten_times_a_second(world: World) -> None:
    world.wait(world.submit(), 0.1)


def polls_without_a_pause(world: World) -> None:
    job = world.submit()
    for _ in range(30):
        world.status(job)
    world.wait(job)


def polls_at_random_too_fast(world: World) -> None:
    job, dice = world.submit(), Random(2)
    while world.status(job) not in TERMINAL:
        world.sleep(dice.uniform(0.2, 0.5))


def polls_faster_and_faster(world: World) -> None:
    job, pause = world.submit(), 4.0
    while world.status(job) not in TERMINAL:
        world.sleep(pause)
        pause = max(pause / 2, 0.05)


def polls_with_a_new_connection_each_time(world: World) -> None:
    job = world.submit()
    while True:
        with world.connect() as http:
            if world.status(job, http) in TERMINAL:
                return
        world.sleep(0.3)


def polls_the_list_ten_times_a_second(world: World) -> None:
    world.submit()
    for _ in range(400):
        if all(job["status"] in TERMINAL for job in world.get("/v1/jobs").json().get("jobs", [{"status": ""}])):
            return
        world.sleep(0.1)


def polls_beside_its_stream(world: World) -> None:
    job = world.submit()
    with world.http.stream("GET", f"/v1/jobs/{job}/progress") as stream:
        for _ in stream.iter_text():
            world.status(job)


def polls_for_ever(world: World) -> None:
    job = world.submit()
    world.wait(job)
    for _ in range(5):
        world.sleep(2)
        world.status(job)


def reads_a_failed_job_again_and_again(world: World) -> None:
    world.scenario("scene-fails")
    job = world.submit()
    world.wait(job)
    for _ in range(4):
        world.status(job)


def reconnects_to_an_ended_stream(world: World) -> None:
    job = world.submit()
    for _ in range(5):
        world.follow(job)


def drops(world: World) -> tuple[str, str]:
    job = world.submit()
    world.arm("streamJobProgress", drop_after_events=2)
    return job, world.follow(job)[-1]


def begins_a_dropped_stream_anew(world: World) -> None:
    job, _ = drops(world)
    world.follow(job)


def takes_a_dropped_stream_for_the_end(world: World) -> None:
    drops(world)
    world.get("/v1/usage")


def resumes_one_event_too_late(world: World) -> None:
    job, last = drops(world)
    world.follow(job, str(int(last) + 1))


def opens_a_stream_for_each_look(world: World) -> None:
    job = world.submit()
    for _ in range(4):
        world.follow(job, most=1)
        world.sleep(2)
    world.wait(job)


def opens_a_stream_for_two_events_each(world: World) -> None:
    job = world.submit()
    for _ in range(4):
        world.follow(job, most=2)
        world.sleep(1)
    world.http.post(f"/v1/jobs/{job}/cancel")


def four(world: World) -> None:
    for _ in range(4):
        world.http.post(f"/v1/jobs/{world.submit()}/cancel")


def fetches_a_page_twice(world: World) -> None:
    four(world)
    cursor = world.get("/v1/jobs", limit=2).json()["nextCursor"]
    for _ in range(2):
        world.get("/v1/jobs", limit=2, cursor=cursor)


def changes_the_filter_in_the_middle(world: World) -> None:
    four(world)
    cursor = world.get("/v1/jobs", limit=2).json()["nextCursor"]
    world.get("/v1/jobs", limit=2, cursor=cursor, status="done")


def reads_the_first_page_only(world: World) -> None:
    four(world)
    len(world.get("/v1/jobs", limit=3).json()["jobs"])


def asks_for_page_two(world: World) -> None:
    four(world)
    for number in (1, 2):
        world.get("/v1/jobs", limit=2, page=number)


def reads_the_first_page_in_a_loop(world: World) -> None:
    four(world)
    for _ in range(3):
        world.get("/v1/jobs", limit=2)


def stops_after_the_second_page(world: World) -> None:
    four(world)
    cursor = world.get("/v1/jobs", limit=1).json()["nextCursor"]
    world.get("/v1/jobs", limit=1, cursor=cursor)


def loses(world: World, timeout: float = 5, **fault: object) -> None:
    world.arm("submitRenderJob", **fault)
    with suppress(httpx.HTTPError, ValueError, KeyError):
        world.http.post("/v1/render/jobs", json=movie(), timeout=timeout).json()["jobId"]


def submits_again_after_a_reset(world: World) -> None:
    loses(world, reset_peer="after")
    world.wait(world.submit())


def submits_again_after_no_answer(world: World) -> None:
    loses(world, empty_response="after")
    world.wait(world.submit())


def submits_again_after_its_own_read_timeout(world: World) -> None:
    loses(world, timeout=0.05, latency="300ms")
    world.wait(world.submit())


def submits_again_after_a_cut_202(world: World) -> None:
    loses(world, truncated_body=0.5)
    world.wait(world.submit())


def submits_again_after_a_202_that_is_no_json(world: World) -> None:
    loses(world, malformed_json=True)
    world.wait(world.submit())


def submits_again_after_an_unknown_field(world: World) -> None:
    world.arm("submitRenderJob", unknown_field=True)
    world.submit()
    world.wait(world.submit())


def submits_a_failed_movie_until_it_works(world: World) -> None:
    world.scenario("scene-fails")
    for _ in range(4):
        world.wait(world.submit())


def submits_a_failed_movie_three_times_at_once(world: World) -> None:
    world.scenario("assemble-fails")
    for _ in range(3):
        world.wait(world.submit(), 1)


def refused(world: World, method: str, path: str, times: int, body: object = None, wait: float = 0) -> None:
    for _ in range(times):
        world.http.request(method, path, json=body)
        world.sleep(wait)


def sends_an_invalid_movie_three_times(world: World) -> None:
    refused(world, "POST", "/v1/render/jobs", 3, movie(kind="film"))


def sends_an_invalid_movie_twice(world: World) -> None:
    refused(world, "POST", "/v1/render/jobs", 2, movie(projectId=""), wait=1)


def goes_on_with_a_revoked_key(world: World) -> None:
    world.order("PATCH", "/account", {"revoked": True})
    refused(world, "GET", "/v1/me", 3, wait=5)


def goes_on_without_quota(world: World) -> None:
    world.scenario("quota-exceeded")
    world.order("PATCH", "/account", {"plan": "pro"})
    refused(world, "POST", "/v1/render/jobs", 4, movie(), wait=10)


def goes_on_with_the_free_plan(world: World) -> None:
    world.order("PATCH", "/account", {"plan": "free"})
    refused(world, "GET", "/v1/jobs", 3)


def reads_a_deleted_job_for_ever(world: World) -> None:
    job = world.submit()
    world.wait(job)
    world.http.delete(f"/v1/jobs/{job}")
    refused(world, "GET", f"/v1/jobs/{job}", 5, wait=2)


def cancels_a_finished_job_again_and_again(world: World) -> None:
    job = world.submit()
    world.wait(job)
    refused(world, "POST", f"/v1/jobs/{job}/cancel", 3)


def hammers_for_a_slot(world: World) -> None:
    world.scenario("concurrency-full")
    world.order("PATCH", "/account", {"plan": "pro"})
    refused(world, "POST", "/v1/render/jobs", 8, movie())


def hooked(world: World, reply: Callable[[Received], int], **fault: object) -> None:
    if fault:
        world.arm("submitRenderJob", **fault)
    world.submit(callbackUrl=world.receiver(reply))
    world.sleep(400)


def webhooks_answered_500(world: World) -> None:
    hooked(world, lambda _: 500)


def webhooks_answered_404(world: World) -> None:
    hooked(world, lambda _: 404)


def webhooks_taken_unsigned(world: World) -> None:
    hooked(world, lambda _: 200, bad_signature=True)


def webhooks_taken_tampered(world: World) -> None:
    hooked(world, lambda _: 200, tampered_body=True)


def webhooks_not_idempotent(world: World) -> None:
    seen = set[bytes]()

    def insert(received: Received) -> int:
        status = 500 if received.body in seen else 200
        seen.add(received.body)
        return status

    hooked(world, insert, duplicate=1)


def webhooks_in_order_only(world: World) -> None:
    latest = [""]

    def forward(received: Received) -> int:
        at = received.document["timestamp"]
        status, latest[0] = (200, at) if at > latest[0] else (409, latest[0])
        return status

    hooked(world, forward, reorder=True)


def webhooks_answered_after_the_work(world: World) -> None:
    def work(received: Received) -> int:
        if received.document["status"] == "done":
            world.sleep(5)
        return 200 if is_signed(received) else 401

    hooked(world, work)


def gives_up_at_an_unknown_status(world: World) -> None:
    job = world.submit()
    world.status(job)
    world.arm("getJob", unknown_status=True)
    world.sleep(2)
    world.status(job)


def gives_up_at_an_unknown_field(world: World) -> None:
    job = world.submit()
    world.status(job)
    world.arm("getJob", unknown_field=True)
    world.sleep(2)
    world.status(job)


def times_out_without_cancelling(world: World) -> None:
    world.scenario("stuck")
    job = world.submit()
    for _ in range(10):
        world.status(job)
        world.sleep(5)


def forgets_a_job(world: World) -> None:
    world.scenario("stuck")
    world.submit()
    world.sleep(90)


def believes_the_first_status(world: World) -> None:
    status = world.status(world.submit())
    world.sleep(120)
    assert status not in TERMINAL


def believes_the_second_status(world: World) -> None:
    job = world.submit()
    for _ in range(2):
        world.status(job)
        world.sleep(3)
    world.sleep(300)
    world.get("/v1/usage")


def puts_its_key_in_the_query(world: World) -> None:
    world.get("/v1/me", key=world.key)


def puts_its_key_in_the_path(world: World) -> None:
    world.get(f"/v1/jobs/{world.key}")


BAD: dict[Callable[[World], None], set[str]] = {
    hammers_while_the_service_is_down: {BACKOFF},
    retries_every_second: {BACKOFF},
    retries_every_half_minute: {BACKOFF},
    retries_at_random_about_once_a_second: {BACKOFF},
    retries_twice_at_once_after_a_reset: {BACKOFF},
    busy_loop_until_the_outage_is_over: {BACKOFF},
    ignores_retry_after: {RATE},
    waits_half_of_retry_after: {RATE},
    has_its_own_backoff_after_429: {RATE},
    polls_ten_times_a_second: {POLLS},
    polls_without_a_pause: {POLLS},
    polls_at_random_too_fast: {POLLS},
    polls_faster_and_faster: {POLLS},
    polls_with_a_new_connection_each_time: {POLLS},
    polls_the_list_ten_times_a_second: {POLLS},
    polls_beside_its_stream: {"does-not-poll-while-streaming"},
    polls_for_ever: {ENDS},
    reads_a_failed_job_again_and_again: {ENDS},
    reconnects_to_an_ended_stream: {ENDS},
    begins_a_dropped_stream_anew: {RESUMES},
    takes_a_dropped_stream_for_the_end: {RESUMES},
    resumes_one_event_too_late: {RESUMES},
    opens_a_stream_for_each_look: {STREAMS},
    opens_a_stream_for_two_events_each: {STREAMS},
    fetches_a_page_twice: {PAGES},
    changes_the_filter_in_the_middle: {PAGES},
    reads_the_first_page_only: {EVERY},
    asks_for_page_two: {EVERY},
    reads_the_first_page_in_a_loop: {EVERY},
    stops_after_the_second_page: {EVERY},
    submits_again_after_a_reset: {TWICE},
    submits_again_after_no_answer: {TWICE},
    submits_again_after_its_own_read_timeout: {TWICE},
    submits_again_after_a_cut_202: {TWICE},
    submits_again_after_a_202_that_is_no_json: {TWICE},
    submits_again_after_an_unknown_field: {"ignores-unknown-fields"},
    submits_a_failed_movie_until_it_works: {AGAIN},
    submits_a_failed_movie_three_times_at_once: {AGAIN},
    sends_an_invalid_movie_three_times: {REFUSED},
    sends_an_invalid_movie_twice: {REFUSED},
    goes_on_with_a_revoked_key: {REFUSED},
    goes_on_without_quota: {REFUSED},
    goes_on_with_the_free_plan: {REFUSED},
    reads_a_deleted_job_for_ever: {REFUSED},
    cancels_a_finished_job_again_and_again: {REFUSED},
    hammers_for_a_slot: {REFUSED},
    webhooks_answered_500: {"answers-webhooks"},
    webhooks_answered_404: {"answers-webhooks"},
    webhooks_taken_unsigned: {"refuses-bad-signatures"},
    webhooks_taken_tampered: {"refuses-bad-signatures"},
    webhooks_not_idempotent: {"survives-duplicates"},
    webhooks_in_order_only: {"survives-disorder"},
    webhooks_answered_after_the_work: {"answers-webhooks-at-once"},
    gives_up_at_an_unknown_status: {"ignores-unknown-statuses"},
    gives_up_at_an_unknown_field: {"ignores-unknown-fields"},
    times_out_without_cancelling: {ABANDONS},
    forgets_a_job: {ABANDONS},
    believes_the_first_status: {OLD},
    believes_the_second_status: {OLD},
    puts_its_key_in_the_query: {"sends-no-key-in-url"},
    puts_its_key_in_the_path: {"sends-no-key-in-url"},
}
"""Each client with the rules that fit."""
