"""Ordinary clients that do nothing wrong: none of them may fail a rule."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from itertools import count
from random import Random  # noqa: TID251 - seeded

import httpx
from tests.conftest import movie
from tests.support.webhook_receiver import Received
from tests.verdict_clients.world import TERMINAL, World, is_signed


def polls_every_second(world: World) -> None:
    world.wait(world.submit(), 1)


def polls_every_five_seconds(world: World) -> None:
    world.wait(world.submit(), 5)


def polls_adaptively(world: World) -> None:
    job, pause = world.submit(), 0.25
    while world.status(job) not in TERMINAL:
        world.sleep(pause)
        pause = min(pause * 2, 4)


def polls_adaptively_by_half(world: World) -> None:
    job, pause = world.submit(), 0.5
    while world.status(job) not in TERMINAL:
        world.sleep(pause)
        pause = min(pause * 1.5, 10)


def polls_with_jitter(world: World) -> None:
    job, dice = world.submit(), Random(3)
    while world.status(job) not in TERMINAL:
        world.sleep(dice.uniform(1, 3))


def polls_with_a_new_connection_each_time(world: World) -> None:
    job = world.submit()
    while True:
        with world.connect() as http:
            if world.status(job, http) in TERMINAL:
                return
        world.sleep(2)


def polls_five_jobs_in_turn(world: World) -> None:
    jobs = [world.submit() for _ in range(5)]
    while jobs:
        jobs = [job for job in jobs if world.status(job) not in TERMINAL]
        world.sleep(1)


def polls_the_list(world: World) -> None:
    for _ in range(3):
        world.submit()
    while any(job["status"] not in TERMINAL for job in world.get("/v1/jobs").json()["jobs"]):
        world.sleep(2)


def looks_twice_at_a_time(world: World) -> None:
    job = world.submit()
    while world.status(job) not in TERMINAL:
        world.status(job)
        world.sleep(2)


def three_readers_of_one_job(world: World) -> None:
    job = world.submit()
    readers = [world.connect() for _ in range(3)]
    while True:
        found = [world.status(job, reader) for reader in readers]
        if found[-1] in TERMINAL:
            return
        world.sleep(1)


def three_readers_out_of_step(world: World) -> None:
    job = world.submit()
    readers = {world.connect(): 0 for _ in range(3)}
    while readers:
        for reader in tuple(readers):
            if world.status(job, reader) in TERMINAL:
                del readers[reader]
            world.sleep(0.4)


def three_readers_without_sessions(world: World) -> None:
    job, is_over = world.submit(), False
    while not is_over:
        for _ in range(3):
            with world.connect() as http:
                is_over = world.status(job, http) in TERMINAL
        world.sleep(2)


def reads_a_stream_to_its_end(world: World) -> None:
    world.follow(world.submit())


def reads_a_stream_and_looks_once_more(world: World) -> None:
    job = world.submit()
    world.follow(job)
    world.status(job)


def two_readers_of_one_stream(world: World) -> None:
    job = world.submit()
    with world.connect() as other:
        world.follow(job)
        other.get(f"/v1/jobs/{job}/progress")


def resumes_a_dropped_stream(world: World) -> None:
    job = world.submit()
    world.arm("streamJobProgress", 3, drop_after_events=2)
    last: str | None = None
    for _ in range(4):
        events = world.follow(job, last)
        last = events[-1] if events else last
    world.wait(job)


def falls_back_to_polling(world: World) -> None:
    job = world.submit()
    world.arm("streamJobProgress", drop_after_events=1)
    world.follow(job)
    world.wait(job)


def reconnects_with_the_last_id(world: World) -> None:
    job = world.submit()
    last: str | None = None
    for _ in range(4):
        last = world.follow(job, last, most=1)[-1]
    world.follow(job, last)


def closes_its_page_once(world: World) -> None:
    job = world.submit()
    world.follow(job, most=2)
    world.sleep(20)
    world.follow(job)


def waits_out_retry_after(world: World) -> None:
    world.order("POST", "/exhaust", {"limit": "rate"})
    world.sleep(int(world.get("/v1/me").headers["retry-after"]))
    world.get("/v1/me")


def waits_out_retry_after_and_a_little(world: World) -> None:
    world.order("POST", "/exhaust", {"limit": "rate"})
    world.sleep(int(world.get("/v1/me").headers["retry-after"]) + 0.7)
    world.get("/v1/me")


def gives_up_at_429(world: World) -> None:
    world.order("POST", "/exhaust", {"limit": "rate"})
    world.get("/v1/me")


def retries(world: World, *waits: float) -> None:
    world.arm("getMe", len(waits), status=503)
    world.get("/v1/me")
    for wait in waits:
        world.sleep(wait)
        world.get("/v1/me")


def backs_off_exponentially(world: World) -> None:
    retries(world, 1, 2, 4, 8)


def backs_off_up_to_a_cap(world: World) -> None:
    retries(world, 1, 2, 4, 5, 5, 5)


def backs_off_linearly(world: World) -> None:
    retries(world, 1, 2, 3, 4)


def backs_off_like_urllib3(world: World) -> None:
    retries(world, 0, 0.4, 0.8, 1.6)


def retries_once_at_once(world: World) -> None:
    retries(world, 0)


def retries_twice_like_urllib3(world: World) -> None:
    retries(world, 0, 0.4)


def full_jitter(seed: int) -> Callable[[World], None]:
    def backs_off_with_full_jitter(world: World) -> None:
        dice = Random(seed)
        retries(world, *(dice.uniform(0, min(20, 0.5 * 2**attempt)) for attempt in range(6)))

    backs_off_with_full_jitter.__name__ += f"_{seed}"
    return backs_off_with_full_jitter


def backs_off_with_equal_jitter(world: World) -> None:
    dice = Random(5)
    retries(world, *(2**attempt / 2 + dice.uniform(0, 2**attempt / 2) for attempt in range(4)))


def backs_off_with_decorrelated_jitter(world: World) -> None:
    dice, wait, waits = Random(6), 1.0, list[float]()
    for _ in range(6):
        wait = min(30, dice.uniform(1, wait * 3))
        waits.append(wait)
    retries(world, *waits)


def gives_up_after_three_attempts(world: World) -> None:
    world.arm("getMe", 9, status=503)
    for wait in (1, 2, 0):
        world.get("/v1/me")
        world.sleep(wait)


def reads_twice_in_the_test_after_the_end(world: World) -> None:
    job = world.submit()
    world.wait(job)
    for _ in range(2):
        world.status(job)


def is_looked_at_by_its_test(world: World) -> None:
    job = world.submit()
    world.wait(job)
    for _ in range(6):
        world.http.get(f"/v1/jobs/{job}", headers={"x-mock-observer": "1"})


def walks_all_pages(world: World) -> None:
    for _ in range(5):
        world.wait(world.submit())
    page = world.get("/v1/jobs", limit=2).json()
    while page["nextCursor"]:
        page = world.get("/v1/jobs", limit=2, cursor=page["nextCursor"]).json()


def walks_all_pages_of_a_filter_twice(world: World) -> None:
    for _ in range(3):
        world.wait(world.submit())
    for _ in range(2):
        page = world.get("/v1/jobs", limit=2, status="done").json()
        world.get("/v1/jobs", limit=2, status="done", cursor=page["nextCursor"])


def looks_for_one_job_in_the_pages(world: World) -> None:
    sought = world.submit()
    for _ in range(3):
        world.wait(world.submit())
    page = world.get("/v1/jobs", limit=1).json()
    while page["jobs"][0]["jobId"] != sought and page["nextCursor"]:
        page = world.get("/v1/jobs", limit=1, cursor=page["nextCursor"]).json()
    world.wait(sought)


def shows_the_newest_from_time_to_time(world: World) -> None:
    for _ in range(3):
        world.http.post(f"/v1/jobs/{world.submit()}/cancel")
    for _ in range(4):
        page = world.get("/v1/jobs", limit=2).json()
        world.sleep(10)
    assert page["nextCursor"]
    world.get("/v1/jobs", limit=100)


def shows_the_newest_two(world: World) -> None:
    for _ in range(3):
        world.http.post(f"/v1/jobs/{world.submit()}/cancel")
    assert len(world.get("/v1/jobs", limit=2).json()["jobs"]) == 2


def loses(world: World, timeout: float = 5, **fault: object) -> None:
    world.arm("submitRenderJob", **fault)
    with suppress(httpx.HTTPError):
        world.http.post("/v1/render/jobs", json=movie(), timeout=timeout)


def looks_for_a_lost_job(world: World) -> None:
    loses(world, reset_peer="after")
    world.wait(world.get("/v1/jobs").json()["jobs"][0]["jobId"])


def looks_for_a_job_after_its_read_timeout(world: World) -> None:
    loses(world, timeout=0.05, latency="200ms")
    while not (jobs := world.get("/v1/jobs").json()["jobs"]):
        world.sleep(1)
    world.wait(jobs[0]["jobId"])


def looks_and_submits_anew(world: World) -> None:
    loses(world, reset_peer="before")
    if not world.get("/v1/jobs").json()["jobs"]:
        world.wait(world.submit())


def submits_again_what_was_never_made(world: World) -> None:
    world.arm("submitRenderJob", status=503)
    for wait in count(1):
        answer = world.http.post("/v1/render/jobs", json=movie())
        if answer.is_success:
            break
        world.sleep(wait)
    world.wait(answer.json()["jobId"])


def submits_the_same_movie_twice_on_purpose(world: World) -> None:
    for job in [world.submit(), world.submit()]:
        world.wait(job)


def submits_a_failed_movie_once_more(world: World) -> None:
    world.scenario("scene-fails")
    for _ in range(2):
        world.wait(world.submit())


def submits_a_failed_movie_with_pauses(world: World) -> None:
    world.scenario("scene-fails")
    for pause in (30, 60, 0):
        world.wait(world.submit())
        world.sleep(pause)


def corrects_what_was_refused(world: World) -> None:
    world.http.post("/v1/render/jobs", json=movie(projectId=""))
    world.wait(world.submit())


def stops_without_quota(world: World) -> None:
    world.scenario("quota-exceeded")
    world.order("PATCH", "/account", {"plan": "pro"})
    world.http.post("/v1/render/jobs", json=movie())
    world.get("/v1/usage")


def waits_for_a_slot(world: World) -> None:
    world.order("PATCH", "/account", {"plan": "pro"})
    jobs = [world.submit() for _ in range(3)]
    while (answer := world.http.post("/v1/render/jobs", json=movie())).status_code == 409:
        world.sleep(5)
    for job in [*jobs, answer.json()["jobId"]]:
        world.wait(job)


def waits_for_the_end_of_another_job(world: World) -> None:
    world.order("PATCH", "/account", {"plan": "pro"})
    jobs = [world.submit() for _ in range(3)]
    world.http.post("/v1/render/jobs", json=movie())
    world.wait(jobs[0])
    for job in [*jobs[1:], world.submit()]:
        world.wait(job)


def waits_out_the_rate_limit_between_two_submissions(world: World) -> None:
    world.scenario("stuck")
    first = world.submit()
    world.order("POST", "/exhaust", {"limit": "rate"})
    while (answer := world.http.post("/v1/render/jobs", json=movie(projectId="proj_second1"))).status_code == 429:
        world.sleep(float(answer.headers["retry-after"]) + 1)
    del first  # both are waited for in a process of their own


def cancels_too_late(world: World) -> None:
    job = world.submit()
    world.wait(job)
    assert world.http.post(f"/v1/jobs/{job}/cancel").status_code == 409


def deletes_and_makes_sure(world: World) -> None:
    job = world.submit()
    world.wait(job)
    world.http.delete(f"/v1/jobs/{job}")
    for _ in range(2):
        assert world.get(f"/v1/jobs/{job}").status_code == 404


def cancels_after_a_time(world: World) -> None:
    world.scenario("stuck")
    job = world.submit()
    for _ in range(5):
        world.status(job)
        world.sleep(10)
    world.http.post(f"/v1/jobs/{job}/cancel")


def hooked(world: World, reply: Callable[[Received], int], **fault: object) -> None:
    if fault:
        world.arm("submitRenderJob", **fault)
    world.submit(callbackUrl=world.receiver(reply))
    world.sleep(400)


def takes_webhooks(world: World) -> None:
    hooked(world, lambda received: 204 if is_signed(received) else 401)


def takes_webhooks_and_reads_the_job(world: World) -> None:
    job = world.submit(callbackUrl=world.receiver(lambda _: 200))
    world.sleep(200)
    world.status(job)


def looks_once_and_waits_for_webhooks(world: World) -> None:
    world.status(world.submit(callbackUrl=world.receiver(lambda _: 200)))
    world.sleep(200)


def refuses_forged_webhooks(world: World) -> None:
    hooked(world, lambda received: 200 if is_signed(received) else 401, bad_signature=True)


def takes_webhooks_twice(world: World) -> None:
    hooked(world, lambda _: 200, duplicate=2)


def takes_webhooks_in_any_order(world: World) -> None:
    hooked(world, lambda _: 202, reorder=True)


def takes_the_terminal_webhook_at_the_second_attempt(world: World) -> None:
    answers = iter([503])
    hooked(world, lambda received: next(answers, 200) if received.document["status"] == "done" else 200)


def answers_webhooks_in_a_second(world: World) -> None:
    def write(received: Received) -> int:
        if received.document["status"] == "done":
            world.sleep(1)
        return 200

    hooked(world, write)


def goes_on_after_unknown_values(world: World) -> None:
    for fault in ("unknown_field", "unknown_status"):
        job = world.submit()
        world.status(job)
        world.arm("getJob", **{fault: True})
        world.sleep(2)
        world.wait(job)


def asks_who_it_is(world: World) -> None:
    world.get("/v1/me")
    world.get("/v1/usage")
    world.get("/v1/jobs", limit=5, type="render")


GOOD: tuple[Callable[[World], None], ...] = (
    *(polls_every_second, polls_every_five_seconds, polls_adaptively, polls_adaptively_by_half, polls_with_jitter),
    *(polls_with_a_new_connection_each_time, polls_five_jobs_in_turn, polls_the_list, looks_twice_at_a_time),
    three_readers_of_one_job,
    *(three_readers_out_of_step, three_readers_without_sessions, reads_a_stream_to_its_end),
    *(reads_a_stream_and_looks_once_more, two_readers_of_one_stream, resumes_a_dropped_stream, falls_back_to_polling),
    *(reconnects_with_the_last_id, closes_its_page_once, waits_out_retry_after, waits_out_retry_after_and_a_little),
    *(gives_up_at_429, backs_off_exponentially, backs_off_up_to_a_cap, backs_off_linearly, backs_off_like_urllib3),
    *(retries_once_at_once, retries_twice_like_urllib3, *map(full_jitter, range(10)), backs_off_with_equal_jitter),
    *(backs_off_with_decorrelated_jitter, gives_up_after_three_attempts, reads_twice_in_the_test_after_the_end),
    *(is_looked_at_by_its_test, walks_all_pages, walks_all_pages_of_a_filter_twice, looks_for_one_job_in_the_pages),
    *(shows_the_newest_from_time_to_time, shows_the_newest_two, looks_for_a_lost_job),
    *(looks_for_a_job_after_its_read_timeout, looks_and_submits_anew, submits_again_what_was_never_made),
    *(submits_the_same_movie_twice_on_purpose, submits_a_failed_movie_once_more, submits_a_failed_movie_with_pauses),
    *(corrects_what_was_refused, stops_without_quota, waits_for_a_slot, waits_for_the_end_of_another_job),
    *(
        waits_out_the_rate_limit_between_two_submissions,
        cancels_too_late,
        deletes_and_makes_sure,
        cancels_after_a_time,
        takes_webhooks,
        takes_webhooks_and_reads_the_job,
    ),
    *(looks_once_and_waits_for_webhooks, refuses_forged_webhooks, takes_webhooks_twice, takes_webhooks_in_any_order),
    *(takes_the_terminal_webhook_at_the_second_attempt, answers_webhooks_in_a_second, goes_on_after_unknown_values),
    asks_who_it_is,
)

ACCUSED = {shows_the_newest_two: "reads-every-page"}
"""Good clients that fail a rule all the same; docs/verdict.md says why."""
