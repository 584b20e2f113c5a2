"""The receiver of webhooks: by itself, and as a fixture of an inner run."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import orjson
import pytest
from tests.support.pytester_runs import Run, passed, run

from viralsync_mock.errors import UsageError
from viralsync_mock.testing import WebhookReceiver
from viralsync_mock.webhooks.payload import sign

pytest_plugins = ["pytester"]
__all__ = ["run"]

SECRET = "whsec_of_my_tests"


@pytest.fixture
def receiver() -> Iterator[WebhookReceiver]:
    with WebhookReceiver(SECRET) as receiver:
        yield receiver


def send(receiver: WebhookReceiver, status: str = "running", job: str = "job_1", secret: str = SECRET) -> int:
    body = orjson.dumps({"jobId": job, "status": status})
    headers = {"x-render-signature": sign(body, secret)}
    return httpx.post(receiver.url, content=body, headers=headers, verify=False).status_code  # noqa: S501 - no CAs


def test_events_come_parsed_and_in_order(receiver: WebhookReceiver) -> None:
    """Of all jobs, or of one."""
    assert [send(receiver, "running"), send(receiver, "failed", "job_2"), send(receiver, "done")] == [200, 200, 200]
    assert [event["status"] for event in receiver.events()] == ["running", "failed", "done"]
    assert [event["status"] for event in receiver.events("job_1")] == ["running", "done"]


def test_a_bad_signature_is_answered_401_and_is_no_event(receiver: WebhookReceiver) -> None:
    """It is kept as a violation, and uses up nothing of the script."""
    receiver.respond_with(503)
    assert [send(receiver, secret="another"), send(receiver)] == [401, 503]
    assert len(receiver.events()) == 1
    assert repr(receiver.violations) == "[<running of job_1 with a bad signature, answered 401>]"


def test_a_webhook_without_a_signature_or_without_json_is_a_violation(receiver: WebhookReceiver) -> None:
    """Whatever comes, the receiver stays up."""
    answer = httpx.post(receiver.url, content=b"\xff{", verify=False)  # noqa: S501 - no CAs
    assert (answer.status_code, receiver.violations[0].document) == (401, {})
    assert repr(receiver) == f"<receiver at {receiver.url}, 1 webhooks, 1 of them forged>"


def test_forgeries_can_be_let_through(receiver: WebhookReceiver) -> None:
    """They are answered 200, and are violations all the same."""
    receiver.refuses_forgeries = False
    assert send(receiver, secret="another") == 200
    assert (len(receiver.violations), receiver.events()) == (1, [])


def test_scripted_answers_are_used_up_in_order(receiver: WebhookReceiver) -> None:
    """And 200 again after them."""
    receiver.respond_with(500, 500, 204)
    assert [send(receiver) for _ in range(4)] == [500, 500, 204, 200]


def test_waiting_returns_the_event_that_comes_meanwhile(receiver: WebhookReceiver) -> None:
    """Of the job that is meant."""
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(receiver.wait_for, "done", "job_2")
        send(receiver, "done", "job_1")
        send(receiver, "done", "job_2")
        assert waiting.result() == {"jobId": "job_2", "status": "done"}


def test_waiting_in_vain_shows_what_came(receiver: WebhookReceiver) -> None:
    """Each webhook in a line, forged ones too."""
    with pytest.raises(AssertionError, match=r"status done within 0\.01 s, got none at all"):
        receiver.wait_for("done", timeout=0.01)
    send(receiver)
    send(receiver, "done", secret="another")
    text = re.escape(
        "expected a webhook with status done of job_1 within 0.01 s, got \n"
        "  <running of job_1, answered 200>\n"
        "  <done of job_1 with a bad signature, answered 401>"
    )
    with pytest.raises(AssertionError, match=text):
        receiver.wait_for("done", "job_1", timeout=0.01)


def test_closing_ends_whatever_it_holds_back() -> None:
    """A webhook that is never answered, and a slow one, keep no thread."""
    before = set(threading.enumerate())
    with ThreadPoolExecutor(2) as pool:
        with WebhookReceiver(SECRET) as receiver:
            receiver.never_respond()
            receiver.respond_slowly(60)
            held = [pool.submit(send, receiver) for _ in range(2)]
            receiver.wait_for("running")
            while len(receiver.events()) < 2:
                pass
        assert sorted(each.result() for each in held) == [200, 503]
    assert set(threading.enumerate()) == before


def test_a_slow_answer_takes_its_time(receiver: WebhookReceiver) -> None:
    """A client with less patience gives up."""
    receiver.respond_slowly(30)
    body = b"{}"
    headers = {"x-render-signature": sign(body, SECRET)}
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(receiver.url, content=body, headers=headers, timeout=0.05, verify=False)  # noqa: S501 - no CAs


def test_what_cannot_be_answered_is_refused(receiver: WebhookReceiver) -> None:
    """A status that no answer has, and a time that no clock shows."""
    with pytest.raises(UsageError, match="from 200 to 599, got 99"):
        receiver.respond_with(200, 99)
    with pytest.raises(UsageError, match="from 0 on, got nan"):
        receiver.respond_slowly(float("nan"))
    assert send(receiver) == 200


def test_the_fixture_takes_the_webhooks_of_a_test(run: Run) -> None:
    """On an auto clock, polling or only waiting, they all arrive; the last is `done`."""
    source = """
def test_waits(viralsync, viralsync_webhooks):
    job = submit(viralsync, callbackUrl=viralsync_webhooks.url)
    assert viralsync_webhooks.wait_for("done", job)["progress"] == 1
    assert viralsync_webhooks.events(job)[-1]["status"] == "done"
    assert viralsync_webhooks.violations == []

def test_order_of_fixtures_makes_no_difference(viralsync_webhooks, viralsync):
    viralsync_webhooks.wait_for("done", submit(viralsync, callbackUrl=viralsync_webhooks.url))
"""
    passed(run(source), 2)


def test_the_receiver_outlives_the_sandbox_that_sends_to_it(run: Run, pytester: pytest.Pytester) -> None:
    """Whatever the order of the fixtures: no delivery fails only because a test was over."""
    pytester.makeconftest(
        """
        import socket
        from urllib.parse import urlsplit

        def pytest_viralsync_closing(sandbox):
            url = urlsplit(sandbox.deliveries[0].url)
            socket.create_connection((url.hostname, url.port)).close()
            print("ANSWERED")
        """
    )
    source = """
def test_inside(viralsync, viralsync_webhooks):
    viralsync_webhooks.wait_for("done", submit(viralsync, callbackUrl=viralsync_webhooks.url))
"""
    assert "ANSWERED" in run(source, "-s").stdout.str()


def test_the_fixture_knows_the_secret_of_a_scenario(run: Run, pytester: pytest.Pytester) -> None:
    """Given whole, as a file, or by the settings; a bad signature is made out."""
    pytester.makefile(".yaml", mine="name: mine\ndescription: Signed.\nwebhooks: {secret: of-the-file}\n")
    source = """
WHOLE = {"name": "signed", "description": "Signed.", "webhooks": {"secret": "of-the-marker"}}

@pytest.mark.viralsync(scenario=WHOLE)
def test_whole(viralsync, viralsync_webhooks):
    assert viralsync_webhooks.secret == "of-the-marker"
    viralsync_webhooks.wait_for("done", submit(viralsync, callbackUrl=viralsync_webhooks.url))

@pytest.mark.viralsync(scenario="mine.yaml")
def test_file(viralsync_webhooks):
    assert viralsync_webhooks.secret == "of-the-file"

@pytest.mark.viralsync(scenario="webhook-bad-signature", behaviour={"webhook": {"attempts": 1}})
def test_bad(viralsync, viralsync_webhooks):
    job = submit(viralsync, callbackUrl=viralsync_webhooks.url)
    with pytest.raises(AssertionError, match="bad signature, answered 401"):
        viralsync_webhooks.wait_for("done", job, timeout=0.5)
    assert viralsync_webhooks.events() == []
"""
    passed(run(source), 3)


def test_the_fixture_knows_the_secret_of_the_settings(run: Run, pytester: pytest.Pytester) -> None:
    """A scenario file that the server was started with counts too."""
    path = pytester.makefile(".yaml", mine="name: mine\ndescription: Signed.\nwebhooks: {secret: of-the-server}\n")
    source = f"""
@pytest.fixture(scope="session")
def viralsync_settings():
    from viralsync_mock.settings import Settings
    return Settings(scenario={str(path)!r})

def test_inside(viralsync_webhooks):
    assert viralsync_webhooks.secret == "of-the-server"
"""
    passed(run(source), 1)


def test_webhooks_are_sent_again_until_the_receiver_takes_them(run: Run) -> None:
    """500 twice, then 200: three attempts, and the delivery has arrived."""
    source = """
@pytest.mark.viralsync(scenario="instant", clock="frozen")
def test_retries(viralsync, viralsync_webhooks):
    viralsync_webhooks.respond_with(500, 500, 200)
    job = submit(viralsync, callbackUrl=viralsync_webhooks.url)
    viralsync.clock.advance(120)
    last = viralsync.assert_webhook_delivered("done", job)[0]
    assert [attempt["response"]["status"] for attempt in last.attempts][-1] == 200
    assert [each.response_status for each in viralsync_webhooks.received][:3] == [500, 500, 200]
"""
    passed(run(source), 1)


def test_without_pytest_httpserver_the_fixture_says_what_to_install(run: Run, pytester: pytest.Pytester) -> None:
    """One sentence; every other fixture works."""
    pytester.makeconftest("import sys\nsys.modules['pytest_httpserver'] = None")
    result = run("def test_a(viralsync_webhooks): pass\ndef test_b(viralsync): pass", "-p", "no:pytest_httpserver")
    assert result.parseoutcomes() == {"passed": 1, "errors": 1}
    result.stdout.fnmatch_lines(
        ["viralsync: the receiver of webhooks needs pytest-httpserver: pip install 'viralsync-mock[[]test[]]'"]
    )
