"""Many more calls from few: parts of calls that Schemathesis made up, put together anew."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count, islice
from urllib.parse import parse_qs, urlsplit

from viralsync_conform.calls import Exchange
from viralsync_conform.contract import documented_behaviour as facts
from viralsync_conform.run.journey_context import JourneyContext
from viralsync_conform.run.request import Request
from viralsync_mock.randomness import digest
from viralsync_mock.redaction import SECRET_HEADERS

OWN_METHOD = 4
"""Of this many calls one has the method of another."""


def send_recombined(context: JourneyContext, made_up: Sequence[Exchange], number: int) -> list[Exchange]:
    """Send this many calls put together from parts of others; whatever they are, the server must not fail."""
    sent = []
    for request in islice(_requests(context, made_up), number):
        call = context.client.attempt(request)
        sent.append(call)
        if not is_answered(call):
            context.check(facts.SERVER_ERROR, False, call, got=call.problem or call.status, place=call.step)
    context.run.asserted[facts.SERVER_ERROR] += number
    return sent


def is_answered(call: Exchange) -> bool:
    """Say whether an answer came that is no failure of the server; a stream that nobody reads is one too."""
    return call.status is not None and call.status < 500


def _requests(context: JourneyContext, made_up: Sequence[Exchange]) -> Iterator[Request]:
    for number in count():
        drawn = digest(context.run.seed, "crossing", number)
        place, query, rest, method = (made_up[_drawn(drawn, part) % len(made_up)] for part in range(4))
        yield Request(
            method=(method if drawn[-1] % OWN_METHOD == 0 else place).method,
            path=urlsplit(place.url).path,
            query=parse_qs(urlsplit(query.url).query, keep_blank_values=True),
            headers={name: value for name, value in rest.request_headers if name.lower() not in SECRET_HEADERS},
            content=rest.request_body or None,
            journey=context.journey,
            step="parts of other calls",
            account=context.account,
            is_generated=True,
        )


def _drawn(drawn: bytes, part: int) -> int:
    return int.from_bytes(drawn[2 * part : 2 * part + 2], "big")
