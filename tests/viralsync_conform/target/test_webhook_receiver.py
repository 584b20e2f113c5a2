"""The receiver of webhooks: takes whatever comes, and answers as its path says."""

from __future__ import annotations

import threading

import httpx2
import pytest

from viralsync_conform.target.webhook_receiver import LANDING, QUERY, WebhookReceiver

KEY = "vs_prod_" + "a1" * 16


def post(receiver: WebhookReceiver, path: str, content: bytes = b"{}") -> httpx2.Response:
    with httpx2.Client(verify=False) as client:
        return client.post(receiver.url(path), content=content, headers={"X-Render-Signature": "s"})


def test_what_comes_is_kept_in_order_and_by_job() -> None:
    """The exact bytes, the names of headers in lower case, and no keys."""
    with WebhookReceiver() as receiver:
        for content in (b'{"jobId": "a", "n": 1}', b'{"jobId": "b"}', f'{{"jobId": "a", "k": "{KEY}"}}'.encode()):
            assert post(receiver, "/received", content).status_code == 200
        first, second = receiver.of("a")
    assert (first.body, first.headers["x-render-signature"], first.method) == (b'{"jobId": "a", "n": 1}', "s", "POST")
    assert second.document == {"jobId": "a", "k": "vs_prod_***"}


@pytest.mark.parametrize(("path", "status"), [("/received", 200), ("/refused", 500), ("/moved", 307), ("/other", 200)])
def test_each_path_has_an_answer_of_its_own(path: str, status: int) -> None:
    """One is received, one refused, and one sent on to where it can be seen to arrive."""
    with WebhookReceiver() as receiver:
        answer = post(receiver, path)
        assert answer.status_code == status
        moved = answer.headers.get("location", "").partition("?")
        assert moved[::2] == (
            (receiver.url(LANDING).partition("?")[0], f"{QUERY}&number=1") if status == 307 else ("", "")
        )


def test_what_does_not_name_its_job_is_known_by_its_address() -> None:
    """Each address is another one: what comes there is about that job, whatever it says."""
    with WebhookReceiver() as receiver:
        first, second = receiver.url(), receiver.url()
        with httpx2.Client(verify=False) as client:
            for url, content in ((first, b"jobId=a"), (second, b'{"jobId": "a"}'), (second, b"{}")):
                client.post(url, content=content)
        assert [hook.body for hook in receiver.at(first, "a")] == [b"jobId=a", b'{"jobId": "a"}']


def test_a_webhook_may_hold_anything() -> None:
    """A body that is no object reads as an empty one, and belongs to no job."""
    with WebhookReceiver() as receiver:
        for content in (b"[1]", b"\xff", b""):
            post(receiver, "/received", content)
        assert [hook.document for hook in receiver.received] == [{}, {}, {}]
        assert receiver.of("a") == []


def test_waiting_ends_when_it_comes_or_in_vain() -> None:
    """Whoever waits is woken by what arrives, and told when nothing does."""
    with WebhookReceiver() as receiver:
        assert not receiver.wait_for(1, 0.01)
        sender = threading.Thread(target=post, args=(receiver, "/received"))
        sender.start()
        assert receiver.wait_for(1, 5)
        sender.join()


def test_the_public_url_is_what_targets_are_told() -> None:
    """Behind a tunnel the address of this machine is of no use."""
    receiver = WebhookReceiver(public_url="https://hooks.example/base/")
    assert receiver.url() == f"https://hooks.example/base/received?{QUERY}&number=1"
