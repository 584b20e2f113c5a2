"""What a client sends to find its calls again: `x-request-id` and W3C's `traceparent`."""

import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.conftest import MOVIE
from tests.support.in_process import KEY, InProcess

from viralsync_mock.cli.request_log import RequestLog
from viralsync_mock.journal.entry import well_formed_request_id
from viralsync_mock.webhooks.payload import trace_headers

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = f"00-{TRACE}-b7ad6b7169203331-01"
SUBMISSION = {**MOVIE, "callbackUrl": "http://localhost/hook"}


async def test_a_request_id_comes_back_with_the_response() -> None:
    """As it was sent, also with a refusal; not without the headers that the API does not have."""
    async with InProcess() as mock, InProcess(mock_headers=False) as bare:
        headers = {"x-request-id": "order-7/2"}
        calls = [await mock.call("GET", path, headers=headers) for path in ("/v1/me", "/v1/jobs/none", "/nowhere")]
        plain, hidden = await mock.call("GET", "/v1/me"), await bare.call("GET", "/v1/me", headers=headers)
    assert [each.headers.get("x-request-id") for each in (*calls, plain, hidden)] == ["order-7/2"] * 3 + [None] * 2


@pytest.mark.parametrize("sent", ["", "a b", "a\u00e9", 'a"b', "a" * 129, "a\tb", "<b>"])
async def test_an_odd_request_id_is_not_repeated(sent: str) -> None:
    """It would be written into logs and headers as it is."""
    async with InProcess() as mock:
        call = await mock.call("GET", "/v1/me", headers={"x-request-id": sent})
    assert (call.status, call.headers.get("x-request-id")) == (200, None)


@given(st.binary(max_size=140))
def test_a_well_formed_request_id_is_short_and_has_no_blanks(sent: bytes) -> None:
    """Whatever is sent, what is taken is printable ASCII in one word."""
    taken = well_formed_request_id(sent)
    assert taken is None or (taken.encode() == sent and taken.isascii() and taken.split() == [taken])


async def logged(headers: dict[str, str]) -> list[dict[str, Any]]:
    """Return the JSON log of a submission with these headers, and of its webhooks."""
    stream = io.StringIO()
    async with InProcess() as mock:
        log = RequestLog(stream, as_json=True)
        mock.mock.on_call, mock.mock.on_delivery = log.on_call, log.on_delivery
        await mock.call("POST", "/v1/render/jobs", SUBMISSION, headers=headers)
        await mock.control("POST", "/clock/advance", {"seconds": 600})
        log.flush()
    return [json.loads(line) for line in stream.getvalue().splitlines()]


async def test_the_json_log_has_the_ids_of_call_request_and_trace() -> None:
    """The call under its own ids, the terminal webhook under the trace of its submission."""
    call, webhook = await logged({"x-request-id": "order-7", "traceparent": PARENT})
    assert (call["requestId"], call["traceId"], webhook["traceId"]) == ("order-7", TRACE, TRACE)
    assert call["callId"].endswith("_1")


async def test_without_ids_the_log_has_that_of_the_call() -> None:
    """Each line can be asked for; a key that is sent as an id is not written down."""
    (call, webhook), (other, _) = await logged({}), await logged({"x-request-id": KEY})
    assert (call["requestId"], call["traceId"], webhook["traceId"]) == (call["callId"], None, None)
    assert other["requestId"] == "vs_prod_***"


async def sent(*headers: tuple[str, str]) -> list[dict[str, str]]:
    """Return the headers of the webhooks of a submission with these headers, restored on the way."""
    async with InProcess() as mock:
        call = mock.begin("POST", "/v1/render/jobs", SUBMISSION)
        call.scope["headers"] += [(name.encode(), value.encode("latin-1")) for name, value in headers]
        await mock.quiet(call)
        await mock.control("POST", "/clock/advance", {"seconds": 10})
        await mock.control("PUT", "/snapshot", await mock.control("GET", "/snapshot"))
        await mock.control("POST", "/clock/advance", {"seconds": 600})
    return [dict(request.headers) for request, _ in mock.receiver.got]


async def test_every_webhook_carries_the_trace_of_its_submission() -> None:
    """Also after the sandbox was saved and restored."""
    webhooks = await sent(("traceparent", PARENT), ("tracestate", "vendor=1"))
    assert len(webhooks) > 3
    assert {(each["traceparent"], each["tracestate"]) for each in webhooks} == {(PARENT, "vendor=1")}


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("tracestate", "vendor=1")],
        [("traceparent", PARENT), ("traceparent", PARENT)],
        [("traceparent", PARENT.upper())],
        [("traceparent", f"{PARENT}-more")],
        [("traceparent", f"ff{PARENT[2:]}")],
        [("traceparent", PARENT.replace(TRACE, "0" * 32)), ("tracestate", "vendor=1")],
        [("traceparent", PARENT.replace("b7ad6b7169203331", "0" * 16))],
    ],
    ids=["none", "state alone", "twice", "capitals", "too long", "version ff", "no trace", "no parent"],
)
async def test_what_is_no_trace_is_not_passed_on(headers: list[tuple[str, str]]) -> None:
    """W3C has such a context ignored, with its state."""
    assert {name for each in await sent(*headers) for name in each} == {"content-type", "x-render-signature"}


@pytest.mark.parametrize(
    ("parent", "state", "names"),
    [
        (f"01{PARENT[2:]}-later", b"", ["traceparent"]),
        (PARENT, b"a=\xe9", ["traceparent"]),
        (PARENT, b"a=" + b"x" * 600, ["traceparent"]),
    ],
    ids=["a later version", "odd state", "long state"],
)
def test_a_later_version_is_passed_on_and_an_odd_state_is_not(parent: str, state: bytes, names: list[str]) -> None:
    """The state is dropped without the parent."""
    assert [name for name, _ in trace_headers({b"traceparent": parent.encode(), b"tracestate": state})] == names
