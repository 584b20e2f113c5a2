"""`conform` against a production that is not ours: what it does otherwise lands in the category where it belongs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.support.scripted_target.app import LIMIT, WINDOW, Account
from tests.support.scripted_target.jobs import Habits
from tests.support.scripted_target.outages import Trouble
from tests.support.scripted_target.server import KEY, Served, produced, self_signed

from viralsync_conform.conformance import Options, conform, new_run
from viralsync_conform.findings import Category, Finding, Verdict
from viralsync_conform.journeys import JOURNEYS
from viralsync_conform.reports.profile import profile_of
from viralsync_conform.result import Result
from viralsync_conform.run.http_client import HttpClient
from viralsync_conform.run.journey import Journey
from viralsync_conform.run.journey_context import JourneyContext
from viralsync_conform.target import open_target
from viralsync_mock.config.behaviour import BehaviourProfile, to_document
from viralsync_mock.errors import SettingsError

pytestmark = pytest.mark.slow

PROFILE_HABITS = Habits(
    list_key="items",
    event_names=True,
    resumes=False,
    cancel_body=False,
    delete_body=False,
    codes={
        "JOB_NOT_FOUND": "NO_SUCH_JOB",
        "INVALID_STATE_TRANSITION": "WRONG_STATE",
        "VALIDATION_ERROR": "BAD_REQUEST",
        "NOT_FOUND": "NO_SUCH_ROUTE",
        "METHOD_NOT_ALLOWED": "WRONG_METHOD",
        "PAYLOAD_TOO_LARGE": "TOO_LARGE",
    },
    job_type="render.movie",
    executing="running",
    counts_assembly=True,
    needs_json_type=False,
)
"""Where this production acts otherwise and a behaviour profile can say so."""

LEARNED = BehaviourProfile(
    list_key="items",
    sse_event_names="by_kind",
    sse_resume="snapshot",
    cancel_response="empty",
    delete_response="empty",
    job_type="render.movie",
    job_executing_status="running",
    job_children_counted="scenes+assemble",
    webhook_executing_status="running",
    content_type_required=False,
    errors={name.lower(): code for name, code in PROFILE_HABITS.codes.items()},
)

ODD_HABITS = replace(
    PROFILE_HABITS,
    limit_headers=True,
    extras=True,
    id_form="{:08x}-0000-4000-8000-0123456789ab",
    has_milliseconds=False,
    has_media=False,
    has_date=False,
)
"""More than that: what nobody documented, and other forms than those of the samples."""

FOREIGN_MOVIES = (1, 20, 40, 600, 3000)
"""Seconds of the jobs that others have: two end meanwhile, three are under way to the end."""


@dataclass(frozen=True)
class Finished:
    """A run that is over, and what it left at the production."""

    result: Result
    served: Served

    def places(self, category: Category) -> set[str]:
        """Return what lies in a category, as check and place."""
        return {f"{each.check} {each.place or each.name}" for each in self.of(category)}

    def of(self, category: Category) -> list[Finding]:
        """Return what lies in a category."""
        return [each for each in self.result.findings if each.category is category]

    @property
    def failures(self) -> list[Finding]:
        """Return what the run calls broken."""
        return self.of(Category.FAILURE)


def run(served: Served, journeys: str = "", **options: Any) -> Finished:
    """Run the kit against a production; `journeys` are named, all of them unless some are."""
    usual = {"key": KEY, "clock": served.clock, "has_fidelity": False}
    chosen = Options(target=served.base_url, **{**usual, **options})
    return Finished(conform(chosen, list(named(journeys))), served)


def named(names: str) -> Iterable[Journey]:
    """Return journeys by name; all but those that need a whole API, which the independent server is."""
    known = {journey.name: journey for journey in JOURNEYS}
    return [known[name] for name in names.split()] if names else [each for each in JOURNEYS if not each.is_real]


def most_in_a_window(instants: list[float]) -> int:
    """Return the most requests that came within a minute."""
    return max(sum(start <= each < start + WINDOW for each in instants) for start in instants)


def submit_for_others(served: Served, seconds: float) -> str:
    """Submit a job of the same account that is not the run's."""
    movie = {"width": 640, "height": 360, "scenes": [{"id": "only", "duration": seconds}]}
    body = {"kind": "movie", "projectId": "proj_of_others", "movie": movie}
    with httpx2.Client(trust_env=False) as client:
        answer = client.post(f"{served.base_url}/v1/render/jobs", json=body, headers={"x-api-key": KEY})
    job_id: str = answer.json()["jobId"]
    return job_id


# the whole of a night


@pytest.fixture(scope="module")
def plain() -> Iterator[Finished]:
    """Run everything against a production that does what the mock does, while others use the account."""
    with produced(account=Account(KEY, "business")) as served:
        others = [submit_for_others(served, seconds) for seconds in FOREIGN_MOVIES]
        assert list(served.account.jobs) == others
        yield run(served, has_fidelity=True)


@pytest.fixture(scope="module")
def odd() -> Iterator[Finished]:
    """Run everything against a production that does much otherwise."""
    with produced(ODD_HABITS, account=Account(KEY, "enterprise")) as served:
        yield run(served)


def test_a_production_that_does_as_the_mock_conforms(plain: Finished) -> None:
    """Another implementation of the same documentation is no reason for any finding."""
    assert (plain.result.verdict, plain.result.findings) == (Verdict.CONFORMS, ())


def test_the_mock_does_what_that_production_does(plain: Finished) -> None:
    """Step by step the mock answers alike, whenever a step met the job."""
    assert plain.result.fidelity is not None
    assert (plain.result.fidelity.differences, plain.result.fidelity.percent) == ((), 100.0)


def test_jobs_of_others_are_left_alone(plain: Finished) -> None:
    """What others made is there at the end, untouched, and nothing else is."""
    jobs = plain.served.account.jobs.values()
    assert list(FOREIGN_MOVIES) == [job.length for job in jobs]
    assert not any(job.cancelled_after for job in jobs)


def test_a_run_costs_what_it_may(plain: Finished) -> None:
    """Requests and renders stay within the budget, and are those that the production saw."""
    is_there = 1  # the look before the run, without a key
    budget, seen = plain.result.budget, len(plain.served.production.seen) - len(FOREIGN_MOVIES) - is_there
    assert budget.requests == seen <= budget.max_requests
    assert budget.charged <= 3 / 60


def test_a_run_keeps_far_from_the_rate_limit(plain: Finished) -> None:
    """In no minute there are more than 96 requests, so the limit is never met."""
    seen = [each for each in plain.served.production.seen if each.key == KEY]
    assert most_in_a_window([each.at for each in seen[len(FOREIGN_MOVIES) :]]) <= 0.8 * LIMIT
    assert 429 not in {status for each in seen for status in each.status}


def test_an_odd_production_differs_and_is_not_broken(odd: Finished) -> None:
    """Whatever was only assumed, sampled or never told breaks nothing: the mock is wrong, says the exit code."""
    assert odd.failures + odd.of(Category.INCONCLUSIVE) == []
    assert odd.result.verdict == Verdict.DIFFERS


def test_assumptions_are_learned(odd: Finished) -> None:
    """The profile that was learned is what the production does, switch by switch."""
    assert to_document(LEARNED) == to_document(odd.result.learned_profile)


def test_every_difference_is_one_that_was_learned(odd: Finished) -> None:
    """Nothing else lies in that category: each difference is the position of a switch."""
    learned = {f"learned {switch}" for switch in odd.result.learned.differences(BehaviourProfile())}
    assert odd.places(Category.DIFFERENCE) - learned == {"content_type_needed valid body as text/plain"}


def test_what_is_new_is_additive(odd: Finished) -> None:
    """Fields and headers that nobody documented are drift, and nothing else is."""
    names = {finding.name for finding in odd.of(Category.ADDITIVE)}
    assert {"seats", "region", "priority", "docs", "x-ratelimit-limit", "x-ratelimit-remaining"} == names


def test_other_forms_than_the_samples_are_warnings(odd: Finished) -> None:
    """Ids, instants and media that look otherwise than in the samples are warned of."""
    checks = {finding.check for finding in odd.of(Category.WARNING)}
    assert {"job_id_form", "media_data", "schema", "webhook_body"} <= checks
    assert {"S"} == {finding.mark for finding in odd.of(Category.WARNING) if finding.mark}


def test_nothing_is_left_behind(odd: Finished) -> None:
    """Whatever the run made is deleted, though cancel and delete answer otherwise."""
    assert odd.served.account.jobs == {}
    assert odd.result.unclean == ()


def test_a_learned_profile_leaves_nothing_to_learn(tmp_path: Path) -> None:
    """With what was learned, the mock does what the production does, and a second run conforms."""
    profile = tmp_path / "learned-behaviour.yaml"
    journeys = "account unknown_jobs unknown_routes wrong_methods reading_the_list life_by_polling life_by_stream "
    journeys += "resuming webhooks_of_a_life keys_of_reads keys_of_jobs paging cancelling deleting content_type "
    journeys += "broken_bodies"
    with produced(PROFILE_HABITS, account=Account(KEY, "enterprise"), rate=75) as served:
        profile.write_text(profile_of(run(served, journeys).result))
        again = run(served, journeys, behaviour=profile, has_fidelity=True)
    assert [(each.check, each.message, each.got) for each in again.result.findings] == []
    assert again.result.verdict is Verdict.CONFORMS


def test_strict_makes_failures_of_warnings() -> None:
    """With --strict another form than that of the samples is a failure."""
    with produced(Habits(has_milliseconds=False)) as served:
        finished = run(served, "life_by_polling", is_strict=True)
    assert finished.result.verdict == Verdict.BROKEN
    assert {"schema"} == {finding.check for finding in finished.failures}


# quick


@pytest.mark.parametrize("habits", [Habits(), Habits(has_date=False, codes={"RATE_LIMITED": "SLOW_DOWN"})])
def test_quick_reads_only(habits: Habits) -> None:
    """The quick profile reads what is there, in fewer than 60 requests, and makes nothing."""
    with produced(habits) as served:
        job_id = submit_for_others(served, 1)
        served.clock.wait(30)
        finished = run(served, profile="quick", has_fidelity=True)
    assert (finished.result.verdict, finished.result.findings) == (Verdict.CONFORMS, ())
    assert ([job_id], 60) == (served.production.made, max(60, finished.result.budget.requests))


def test_quick_over_a_slow_tls_that_nobody_vouches_for(tmp_path: Path) -> None:
    """On this machine a certificate need not be known, and a slow handshake is no finding."""
    try:
        certificate = self_signed(tmp_path)
    except FileNotFoundError:
        pytest.skip("openssl is not installed")
    with produced(certificate=certificate) as served:
        finished = run(served, "account two_keys reading_the_list", profile="quick")
    assert [each for each in finished.result.findings if each.check != "completeness"] == []


@pytest.mark.parametrize("key", ["a key-of-two-words", "clé-of-another-alphabet", " ", "two\nlines-of-a-key"])
def test_a_key_that_no_header_carries_is_wrong_use(key: str) -> None:
    """What cannot be a key is refused before anything is sent, without being shown."""
    with produced() as served, pytest.raises(SettingsError) as refusal:
        conform(Options(target=served.base_url, key=key))
    assert key.strip() not in str(refusal.value) or not key.strip()
    assert served.production.seen == []


def test_blanks_around_a_key_are_not_part_of_it() -> None:
    """A secret that was stored with the end of its line opens the account all the same."""
    with produced() as served:
        finished = run(served, "account", profile="quick", key=f"{KEY}\n")
    assert [call.status for call in finished.result.calls] == [200] * 4


# what is assumed only, one by one


@pytest.mark.parametrize(
    ("habits", "differs"),
    [
        (Habits(event_ids=False), {"event_ids "}),
        (Habits(event_without=frozenset({"outputUrl"})), {"schema /"}),
        (Habits(event_without=frozenset({"jobId", "phase", "children", "timestamp"})), {"schema /"}),
        (Habits(has_usage_detail=False), {"schema "}),
        (Habits(is_smooth=True), {"stream_every_change "}),
    ],
    ids=["no ids on events", "events without a field", "bare events", "another shape of usage", "smooth progress"],
)
def test_an_assumed_shape_never_breaks(habits: Habits, differs: set[str]) -> None:
    """Events and usage of another shape than assumed are differences, though the ledger cannot be read then."""
    with produced(habits) as served:
        finished = run(served, "account life_by_polling life_by_stream resuming ledger cancelling")
    assert finished.failures == []
    assert {place.split()[0] for place in differs} <= {finding.check for finding in finished.of(Category.DIFFERENCE)}


@pytest.mark.parametrize(
    "account",
    [Account(KEY, "enterprise"), Account(KEY, "Scale", limits=(None, None)), Account(KEY, "team", limits=(1000, 50))],
    ids=["no limits", "another plan", "own limits"],
)
def test_plans_are_not_ours_to_know(account: Account) -> None:
    """Plans of other names, and accounts without limits, break nothing."""
    with produced(account=account) as served:
        finished = run(served, "account", profile="quick")
    assert finished.failures == []
    assert {"/plan"} >= {finding.place for finding in finished.of(Category.DIFFERENCE)}


# troubles


LIFE = "account life_by_polling life_by_stream ledger cancelling"
TROUBLES = {
    "an outage for a moment": [Trouble("unavailable", 12, 13)],
    "an outage": [Trouble("unavailable", 12, 19)],
    "a failure for a moment": [Trouble("failure", 12, 13)],
    "a proxy that loses one": [Trouble("gateway", 9, 9)],
    "a proxy that never reaches usage": [Trouble("gateway", path="/v1/usage")],
    "a connection that is reset": [Trouble("reset", 12, 12)],
    "connections that are reset": [Trouble("reset", 12, 20)],
    "garbage": [Trouble("garbage", 12, 13)],
    "silence": [Trouble("silence", 12, 13, seconds=0.6)],
    "an outage at the submission": [Trouble("unavailable", path="/v1/render/jobs")],
    "a proxy before the stream": [Trouble("gateway", path="/progress")],
    "our key is refused from then on": [Trouble("locked out", 14)],
    "our key is refused": [Trouble("locked out")],
    "never there": [Trouble("reset")],
}


@pytest.mark.parametrize("troubles", TROUBLES.values(), ids=TROUBLES)
def test_trouble_is_inconclusive(troubles: list[Trouble]) -> None:
    """An outage, a proxy, a broken connection, a time-out and a refused key are nobody's broken contract."""
    with produced(troubles=troubles) as served:
        finished = run(served, LIFE, answer_seconds=0.4)
    assert finished.failures + finished.of(Category.DIFFERENCE) == []
    assert finished.result.verdict == Verdict.INCONCLUSIVE


@pytest.mark.parametrize("kind", ["unavailable", "reset", "gateway"])
def test_a_moment_of_trouble_leaves_nothing_behind(kind: str) -> None:
    """After an outage in the middle the run still cancels and deletes what it made."""
    with produced(troubles=[Trouble(kind, 12, 16)]) as served:
        finished = run(served, LIFE)
    assert (served.account.jobs, finished.result.unclean) == ({}, ())
    assert served.production.made


def test_slow_answers_are_no_finding() -> None:
    """A target that takes its time, within what it is given, conforms."""
    with produced(troubles=[Trouble("slow", seconds=0.03)]) as served:
        finished = run(served, "account reading_the_list unknown_jobs", profile="quick")
    assert [each for each in finished.result.findings if each.check != "completeness"] == []


def test_a_stream_may_be_silent_for_longer_than_an_answer_may_take() -> None:
    """That a stream shows signs of life is assumed: one that is silent while a scene renders tells the whole life."""
    with produced(rate=24) as served:
        finished = run(served, "life_by_polling life_by_stream", answer_seconds=0.25)
    assert [each for each in finished.result.findings if each.check != "completeness"] == []


def test_jobs_that_end_before_they_can_be_cancelled_break_nothing() -> None:
    """Where everything is rendered at once no cancel comes in time: that is inconclusive, and all is removed."""
    with produced(Habits(needs_json_type=False), account=Account(KEY, "enterprise"), rate=5000) as served:
        finished = run(served, "life_by_polling paging ended_jobs cancelling deleting content_type")
    assert (finished.failures, finished.result.verdict) == ([], Verdict.INCONCLUSIVE)
    assert served.account.jobs == {}


def test_a_target_that_went_away_ends_the_run() -> None:
    """Where nothing answers any more, the run says what it could not clean."""
    with produced() as served:
        stop = {15: served.stop}
        finished = run(served, LIFE, on_call=lambda call: stop.get(call.number, lambda: None)())
    assert (finished.failures, finished.result.verdict) == ([], Verdict.INCONCLUSIVE)
    assert tuple(served.production.made) == finished.result.unclean


@pytest.mark.parametrize(
    ("account", "foreign"),
    [(Account(KEY, used=200.0), 0), (Account(KEY), 3)],
    ids=["the quota is spent", "all slots are taken"],
)
def test_an_account_that_is_used_up_is_inconclusive(account: Account, foreign: int) -> None:
    """A spent quota and slots that others take say nothing of the contract."""
    with produced(account=account) as served:
        others = [submit_for_others(served, 600) for _ in range(foreign)]
        finished = run(served, LIFE)
        assert (finished.failures, finished.result.verdict) == ([], Verdict.INCONCLUSIVE)
    assert others == list(served.account.jobs) == served.production.made


# what is broken


@pytest.mark.parametrize(
    ("habits", "check"),
    [
        (Habits(lacks=frozenset({"progress"})), "schema"),
        (Habits(tells_id=False), "schema"),
        (Habits(falls_back=True), "progress"),
    ],
    ids=["no progress", "no jobId", "progress falls"],
)
@pytest.mark.parametrize("troubles", [[], [Trouble("unavailable", 3, 4)]], ids=["", "beside an outage"])
def test_what_is_documented_breaks(habits: Habits, check: str, troubles: list[Trouble]) -> None:
    """A documented fact that does not hold is a failure, also where an outage made the rest inconclusive."""
    with produced(habits, troubles=troubles) as served:
        finished = run(served, LIFE)
    assert finished.result.verdict == Verdict.BROKEN
    assert check in {finding.check for finding in finished.failures}


def test_a_job_without_an_id_is_found_and_removed() -> None:
    """A submission that does not say which job it made leaves none behind, where the list tells."""
    with produced(Habits(tells_id=False)) as served:
        run(served, "life_by_polling")
    assert len(served.production.made) == 1
    assert served.account.jobs == {}


# the rate limit


def test_the_limit_is_kept_far_from_over_minutes() -> None:
    """However many calls a run makes, no minute has more than 96 of them, and the wait is no longer than needed."""
    with produced(rate=60) as served, open_target(served.base_url, KEY, "0", clock=served.clock) as target:
        context = _trip_to(served, target)
        for _ in range(250):
            context.call("getMe", 200)
    instants = [each.at for each in served.production.seen[1:]]  # the first has no key
    assert most_in_a_window(instants) <= 0.8 * LIMIT
    assert instants[-1] - instants[0] < 3 * WINDOW


def test_retry_after_is_obeyed() -> None:
    """Where others have used the window up, the run waits as long as it is told; that is no finding."""
    with produced(rate=100) as served, open_target(served.base_url, KEY, "0", clock=served.clock) as target:
        now = served.clock.now().timestamp()
        served.account.instants = [now - 30.0] * LIMIT
        context = _trip_to(served, target)
        call = context.call("getMe", 200)
    _, refused, accepted = served.production.seen  # the first is the look before the run, without a key
    assert (call.status, refused.status, accepted.status) == (200, [429], [200])
    assert accepted.at - refused.at >= int(context.run.calls[0].header("retry-after") or 0)
    assert [finding.check for finding in context.run.findings] == []


def _trip_to(served: Served, target: Any) -> JourneyContext:
    options = Options(target=served.base_url, key=KEY, max_requests=1000)
    fresh = new_run(options, target)
    return JourneyContext(fresh, HttpClient(fresh), "pacing")
