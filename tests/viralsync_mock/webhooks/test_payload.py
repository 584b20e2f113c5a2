"""When a webhook is due, what it says and how it is signed: as laws and by example."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.paths import ROOT
from tests.viralsync_mock.jobs.test_timeline import job_timings, order

from viralsync_mock.clock import EPOCH
from viralsync_mock.config.behaviour import BehaviourProfile
from viralsync_mock.faults.webhook import PreparedWebhook, TamperedBody
from viralsync_mock.jobs.models import Job, Phase, Status, Step, Timeline, add_seconds
from viralsync_mock.jobs.steps import steps
from viralsync_mock.jobs.timeline import Failure, JobTimings, plan, plan_slices, terminate
from viralsync_mock.jobs.views import Subject
from viralsync_mock.openapi.spec import load_spec
from viralsync_mock.scenarios.fault_syntax import WEBHOOK_KINDS
from viralsync_mock.scenarios.loader import load_scenario
from viralsync_mock.scenarios.model import Webhooks
from viralsync_mock.settings import shipped
from viralsync_mock.validation.closed_schema import close_objects
from viralsync_mock.validation.schema import Schema
from viralsync_mock.webhooks.payload import (
    SentStep,
    WebhookSettings,
    apply_faults,
    before_first,
    next_webhook,
    prepare,
    sign,
)

MOST = 400
NAMES = {"progress": "jobProgress", "done": "jobDone", "failed": "jobFailed", "cancelled": "jobCancelled"}
SPEC = load_spec(shipped("openapi.yaml"))
HOOK = WebhookSettings("http://localhost/hook", "whsec_viralsync_mock", BehaviourProfile())

timelines = st.builds(
    lambda scenes, workers, pace: plan(order(scenes, workers), pace),
    st.lists(st.floats(0.01, 20), min_size=1, max_size=6),
    st.integers(1, 4),
    job_timings,
)
intervals = st.floats(0.5, 60)


def tellings(timeline: Timeline, interval: float = 5.0) -> list[SentStep]:
    """Return what the webhooks of a job tell, the first few hundred of them."""

    def every() -> Iterator[SentStep]:
        told: SentStep | None = before_first(timeline.created)
        while told is not None and (told := next_webhook(steps(timeline), told, interval)) is not None:
            yield told

    return list(islice(every(), MOST))


def standing(step: Step) -> tuple[Status, Phase | None]:
    return step.status, step.phase


def seconds(told: list[SentStep]) -> list[float]:
    return [(each.at - EPOCH).total_seconds() for each in told]


@given(timelines, intervals)
def test_every_webhook_tells_of_a_later_instant_than_the_one_before(timeline: Timeline, interval: float) -> None:
    """Their timestamps only grow."""
    assert all(one.at < other.at for one, other in pairwise(tellings(timeline, interval)))


@given(timelines, intervals)
def test_none_is_sent_while_the_job_is_queued(timeline: Timeline, interval: float) -> None:
    """A job that waits has nothing to tell."""
    assert [each for each in tellings(timeline, interval) if each.step.status is Status.QUEUED] == []


@given(timelines, intervals)
def test_each_change_of_status_or_phase_is_told_when_it_happens(timeline: Timeline, interval: float) -> None:
    """One webhook for each, at its very instant."""
    told = tellings(timeline, interval)
    whole = steps(timeline)
    changes = [step for before, step in pairwise(whole) if standing(before) != standing(step)]
    changes = [*(whole[:1] if whole[0].status is not Status.QUEUED else []), *changes]
    reached = changes if len(told) < MOST else [step for step in changes if step.at <= told[-1].at]
    assert {(step.at, standing(step)) for step in reached} <= {(each.at, standing(each.step)) for each in told}


@given(timelines, intervals)
def test_a_job_that_runs_tells_of_itself_once_an_interval(timeline: Timeline, interval: float) -> None:
    """From the last webhook it is an interval to the next, unless a change comes first."""
    told = tellings(timeline, interval)
    for before, each in pairwise(told):
        due = add_seconds(before.at, interval)
        assert each.at == due or (each.at < due and standing(before.step) != standing(each.step))


@given(timelines, intervals)
def test_the_end_of_a_job_is_told_once_and_last(timeline: Timeline, interval: float) -> None:
    """And never of a job that does not end."""
    told = tellings(timeline, interval)
    terminal = [index for index, each in enumerate(told) if each.step.status.is_terminal]
    ends = timeline.ends is not None and len(told) < MOST
    assert ([len(told) - 1] if ends else []) == terminal


@given(timelines, st.floats(0, 100), st.integers(0, 30))
def test_a_job_that_is_cancelled_tells_what_it_told_and_that_it_is_cancelled(
    timeline: Timeline, at: float, number: int
) -> None:
    """The rest is planned anew from the last webhook on; nothing is told twice."""
    before = tellings(timeline)
    instant = add_seconds(EPOCH, at)
    told = [each for each in before if each.at <= instant][: number + 1]
    if timeline.ends is not None and timeline.ends <= instant:
        return
    cut = terminate(timeline, instant, Status.CANCELLED)
    assert tellings(cut)[: len(told)] == told
    assert (instant, Status.CANCELLED) == (tellings(cut)[-1].at, tellings(cut)[-1].step.status)


def test_a_job_tells_of_each_phase_and_every_five_seconds() -> None:
    """The usual pace: two scenes of 2 and 4 seconds render for 12."""
    told = tellings(plan(order([2.0, 4.0]), JobTimings()))
    assert seconds(told) == [1.0, 1.5, 1.8, 6.8, 11.8, 13.8, 17.8, 19.8]


def test_the_interval_is_a_switch() -> None:
    """`webhook.progress_interval_seconds`."""
    told = tellings(plan(order([2.0, 4.0]), JobTimings()), 10.0)
    assert seconds(told) == [1.0, 1.5, 1.8, 11.8, 13.8, 17.8, 19.8]


def test_an_interval_below_a_millisecond_is_one() -> None:
    """Or the same instant would be told for ever."""
    told = tellings(plan(order([2.0, 4.0]), JobTimings()), 1e-6)
    assert seconds(told)[:3] == [1.0, 1.001, 1.002]


def job(timeline: Timeline) -> Job:
    made = Job("job_1", 1, EPOCH, "render", b"{}", 6.0, 1920, 1080, plan_slices, ())
    made.rewrite(timeline)
    return made


def parcels(timeline: Timeline, behaviour: BehaviourProfile | None = None) -> list[PreparedWebhook]:
    hook = HOOK._replace(behaviour=behaviour or BehaviourProfile())
    template = "https://r2.example/{jobId}.mp4"
    subject = Subject(job(timeline))
    return [prepare(n, subject, each, hook, template) for n, each in enumerate(tellings(timeline))]


def violations(parcel: PreparedWebhook) -> list[str]:
    schema = SPEC.document["webhooks"][NAMES[parcel.kind]]["post"]["requestBody"]["content"]["application/json"][
        "schema"
    ]
    strict = close_objects(schema, SPEC.document)
    return list(map(str, Schema(strict, strict).violations(orjson.loads(parcel.body))))


@given(timelines, st.sampled_from([None, 3.0, 30.0]))
def test_every_payload_is_what_the_spec_says_of_its_kind(timeline: Timeline, cancelled_at: float | None) -> None:
    """And nothing besides."""
    if cancelled_at is not None and (timeline.ends is None or add_seconds(EPOCH, cancelled_at) < timeline.ends):
        timeline = terminate(timeline, add_seconds(EPOCH, cancelled_at), Status.CANCELLED)
    told = parcels(timeline)
    assert [text for each in (*told[:8], *told[-2:]) for text in violations(each)] == []


@pytest.mark.parametrize("kind", ["done", "failed", "cancelled"])
def test_a_job_that_ends_says_how(kind: str) -> None:
    """The last webhook is of the kind that the job ended with."""
    failure = Failure("RENDER_TIMEOUT: no", phase=Phase.UPLOADING) if kind == "failed" else None
    timeline = plan(order([1.0]), JobTimings(fail=failure))
    if kind == "cancelled":
        timeline = terminate(timeline, EPOCH + timedelta(seconds=2), Status.CANCELLED)
    last = parcels(timeline)[-1]
    assert kind == last.kind == orjson.loads(last.body)["status"]
    assert violations(last) == []


def test_one_of_an_interval_has_an_instant_of_its_own() -> None:
    """Not that of the step it tells of."""
    [tick] = [each for each in parcels(plan(order([3.0]), JobTimings())) if b"00:00:06.800Z" in each.body]
    assert orjson.loads(tick.body)["progress"] == 0.25


def test_the_first_of_a_job_in_the_queue_is_what_the_spec_says() -> None:
    """As the fault `before_response` sends it."""
    timeline = plan(order([1.0]), JobTimings())
    early = prepare(0, Subject(job(timeline)), SentStep(steps(timeline)[0], timeline.created), HOOK, "")
    assert orjson.loads(early.body)["status"] == "queued"
    assert violations(early) == []


@pytest.mark.parametrize("status", ["waiting", "running"])
def test_what_webhooks_call_a_job_that_renders_is_a_switch(status: str) -> None:
    """`webhook.executing_status`; no other phase is touched."""
    behaviour = replace(BehaviourProfile(), webhook_executing_status=status)
    told = [orjson.loads(each.body) for each in parcels(plan(order([1.0]), JobTimings()), behaviour)]
    rendering = {each["status"] for each in told if each.get("phase") == "rendering"}
    others = {each["status"] for each in told if each.get("phase") != "rendering"}
    assert ({status}, {"running", "done"}) == (rendering, others)


@given(st.binary(), st.text())
def test_the_signature_is_an_hmac_of_the_very_bytes_in_each_form(body: bytes, secret: str) -> None:
    """`webhook.signature`: hex, `sha256=` and hex, Base64."""
    digest = hmac.digest(secret.encode(), body, hashlib.sha256)
    assert digest == bytes.fromhex(sign(body, secret))
    assert f"sha256={digest.hex()}" == sign(body, secret, "sha256=hex")
    assert digest == base64.b64decode(sign(body, secret, "base64"), validate=True)


def test_the_signature_is_the_one_that_openssl_makes() -> None:
    """`printf '%s' BODY | openssl dgst -sha256 -hmac whsec_viralsync_mock`."""
    body = b'{"jobId":"job_0123456789ab","status":"done"}'
    assert sign(body, "whsec_viralsync_mock") == "c86fcf395c3353dfe65ba874674f337d79c1f7d723281c77e1766d5d038ad066"


@pytest.mark.parametrize("form", ["hex", "sha256=hex", "base64"])
def test_a_webhook_is_signed_as_the_switch_says(form: str) -> None:
    """Over the body that is sent."""
    [first, *_] = parcels(plan(order([1.0]), JobTimings()), replace(BehaviourProfile(), webhook_signature=form))
    assert sign(first.body, HOOK.secret, form) == first.signature


def test_faults_twist_a_webhook_one_after_the_other() -> None:
    """What is no fault of webhooks is passed over."""
    parcel = PreparedWebhook(0, "progress", b"{}", "s")
    assert b"attacker" in apply_faults(parcel, [object(), TamperedBody()], HOOK).body


def test_the_times_of_webhooks_are_utc() -> None:
    """As all that the API writes."""
    assert {timedelta()} == {offset(each.at) for each in tellings(plan(order([1.0]), JobTimings()))}


def offset(instant: datetime) -> timedelta | None:
    return instant.utcoffset()


PAGE = (ROOT / "docs" / "webhooks.md").read_text(encoding="utf-8")


def block(name: str) -> str:
    """Return a block of the page by what stands behind its backticks."""
    return PAGE.partition(f"```{name}\n")[2].partition("```")[0]


def example() -> tuple[str, str]:
    """Return the body and the signature of the page's example."""
    head, _, body = block("http example").strip().partition("\n\n")
    return body, head.partition("x-render-signature: ")[2]


def verdicts() -> list[tuple[str, str, bool]]:
    """Return what a receiver may get to see: body, signature, and whether it is genuine."""
    body, signature = example()
    twins = [signature.upper(), signature[:-1], "", "\u00e9" * 64, f"sha256={signature}"]
    return [(body, signature, True), (f"{body} ", signature, False), *[(body, each, False) for each in twins]]


def test_the_page_shows_a_genuine_webhook() -> None:
    """As the spec has it, signed with the usual secret."""
    body, signature = example()
    assert sign(body.encode(), HOOK.secret) == signature
    assert violations(PreparedWebhook(0, "done", body.encode(), signature)) == []


def test_the_pages_python_knows_a_genuine_webhook() -> None:
    """The function as it is printed."""
    names: dict[str, Any] = {}
    exec(block("python verify"), names)  # noqa: S102 - the page's own code
    found = [names["is_genuine"](body.encode(), signature, HOOK.secret) for body, signature, _ in verdicts()]
    assert found == [expected for *_, expected in verdicts()]


@pytest.mark.needs_node
@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
def test_the_pages_javascript_knows_a_genuine_webhook() -> None:
    """The function as it is printed."""
    cases = json.dumps([[body, signature, HOOK.secret] for body, signature, _ in verdicts()])
    ask = f"console.log(JSON.stringify({cases}.map(([body, ...rest]) => isGenuine(Buffer.from(body), ...rest))))"
    command = ["node", "--input-type=module", "-e", block("js verify") + ask]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert json.loads(done.stdout) == [expected for *_, expected in verdicts()]


def test_the_page_names_every_fault_of_webhooks() -> None:
    """Each in a row of its own."""
    named = {line.partition(":")[0].removeprefix("| `") for line in PAGE.splitlines() if line.startswith("| `")}
    assert set(WEBHOOK_KINDS) <= named


def test_the_pages_yaml_is_a_scenario(tmp_path: Path) -> None:
    """Each block, put into one."""
    texts = [part.partition("```")[0] for part in PAGE.split("```yaml\n")[1:]]
    path = tmp_path / "page.yaml"
    for text in texts:
        path.write_text(f"name: page\ndescription: The page's.\n{text}", encoding="utf-8")
        assert load_scenario(path, SPEC).webhooks != Webhooks()
