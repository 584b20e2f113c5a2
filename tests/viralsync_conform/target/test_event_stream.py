"""Streams as the WHATWG standard parses them, and as the kit waits for them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import accumulate, pairwise
from threading import Event as Signal

import httpx2
import pytest
from httpx_sse import EventSource
from hypothesis import example, given
from hypothesis import strategies as st

from viralsync_conform.target.event_stream import MAX_LINES, Stream, lines_of, parsed
from viralsync_mock.clock import EPOCH

Told = tuple[str | None, str | None, str]


def told(*chunks: bytes) -> list[Told]:
    """Return id, name and data of every event of a stream."""
    return [(event.id, event.name, event.data) for event in parsed(lines_of(chunks), lambda: EPOCH)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("data: a\n\n", [(None, None, "a")]),
        ("data:a\n\ndata:  a\n\n", [(None, None, "a"), (None, None, " a")]),
        ("data: a\ndata\ndata: b\n\n", [(None, None, "a\n\nb")]),
        ("data\n\n", [(None, None, "")]),
        ("id: 1\nevent: done\ndata: a\n\n", [("1", "done", "a")]),
        ("event: first\nevent: last\ndata: a\n\ndata: b\n\n", [(None, "last", "a"), (None, None, "b")]),
        ("event:\ndata: a\n\n", [(None, None, "a")]),
        (": hello\ndata: a\n:\n\n", [(None, None, "a")]),
        ("id: 1\n\n\n\n", []),
        ("event: odd\n\ndata: a\n\n", [(None, None, "a")]),
        ("id: 5\n\ndata: a\n\ndata: b\n\n", [("5", None, "a"), (None, None, "b")]),
        ("id: 1\nid\ndata: a\n\n", [("", None, "a")]),
        ("id: 1\nid: \0\ndata: a\n\n", [("1", None, "a")]),
        ("retry: 3\nDATA: a\n data: b\n\n", []),
        ("data: a\n\ndata: cut", [(None, None, "a")]),
        ("data: a\n\ndata: cut\n", [(None, None, "a")]),
        ("data: a\r\n\r\ndata: b\r\rdata: c\n\r\n", [(None, None, "a"), (None, None, "b"), (None, None, "c")]),
        ("\ufeffdata: a\n\n", [(None, None, "a")]),
        ("data: a\u2028b\x0bc\x85d\n\n", [(None, None, "a\u2028b\x0bc\x85d")]),
        ("", []),
    ],
)
def test_a_stream_is_parsed_as_the_standard_says(text: str, expected: list[Told]) -> None:
    """However the bytes arrive: at once, one by one, with empty chunks between."""
    data = text.encode()
    assert told(data) == expected
    assert told(*(bytes([byte]) for byte in data)) == expected
    assert told(*(part for byte in data for part in (b"", bytes([byte])))) == expected


def test_a_comment_is_told_and_ends_nothing() -> None:
    """Keep-alives are counted, also between the lines of one event."""
    comments: list[int] = []
    lines = [": one", "data: a", ":", "data: b", ""]
    events = list(parsed(lines, lambda: EPOCH, lambda: comments.append(1)))
    assert ([event.data for event in events], len(comments)) == (["a\nb"], 2)


def test_a_line_is_told_as_soon_as_it_ends() -> None:
    """A lone CR ends a line before anybody knows whether a LF follows: else the last event would come late."""
    arrived: list[bytes] = []

    def chunks() -> Iterator[bytes]:
        for chunk in (b"data: a\r\r", b"\ndata: b\n\n"):
            arrived.append(chunk)
            yield chunk

    events = parsed(lines_of(chunks()), lambda: EPOCH)
    assert (next(events).data, len(arrived)) == ("a", 1)
    assert (next(events).data, len(arrived)) == ("b", 2)


LINES = st.sampled_from(["data", "data: a", "data:b", "data:  c", "id: 1", "id: 22", "id", "event: x", "event", ": c",
                         ":", "retry: 3", "odd: d", "data: é\u2028", ""])  # fmt: skip


@given(st.lists(st.tuples(LINES, st.sampled_from(["\n", "\r\n", "\r"])), max_size=25), st.lists(st.integers(1, 9)))
@example([("data: a", "\r"), ("", "\n"), ("data: b", "\n"), ("", "\n")], [8, 1])
def test_another_parser_reads_the_same(lines: list[tuple[str, str]], cuts: list[int]) -> None:
    """On any stream in any pieces, httpx-sse finds the same data, names and ids in force; empty blocks it tells too."""
    data = "".join(line + end for line, end in lines).encode()
    places = [0, *accumulate(cuts), len(data)]
    chunks = [data[start:end] for start, end in pairwise(places)] if cuts else [data]
    response = httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=data)
    theirs = [(each.id, each.event, each.data) for each in EventSource(response).iter_sse() if each.data]
    ours, in_force = [], ""
    for own_id, name, text in told(*chunks):
        in_force = in_force if own_id is None else own_id
        if text:
            ours.append((in_force, name or "message", text))
    assert ours == theirs


class Body(httpx2.SyncByteStream):
    """A body that waits for a signal before its second part, and then may break."""

    def __init__(self, *, breaks: bool = False) -> None:
        self.go_on, self._breaks = Signal(), breaks

    def __iter__(self) -> Iterator[bytes]:
        yield b'data: {"status": "running"}\n\n'
        self.go_on.wait(5)
        if self._breaks:
            raise httpx2.ReadError("reset")
        yield b': alive\n\ndata: {"status": "done"}\n\ndata: {"sta'


def opened(body: Body) -> Stream:
    return Stream(httpx2.Response(200, headers={"content-type": "text/event-stream"}, stream=body), lambda: EPOCH)


def test_a_stream_is_read_while_others_wait_for_it() -> None:
    """Events are there as soon as they arrive, and waiting for more ends with the stream."""
    body = Body()
    stream = opened(body)
    assert stream.wait_events(1, 5)
    assert (len(stream.events), stream.is_closed, stream.is_terminal) == (1, False, False)
    body.go_on.set()
    assert stream.wait_closed(5)
    assert ([event.document for event in stream.events][-1], len(stream.comments)) == ({"status": "done"}, 1)
    assert stream.is_terminal
    assert stream.wait_events(9, 5)
    assert stream.wait_comments(9, 5)
    assert stream.text.endswith('data: {"sta\n')


def test_nothing_more_within_the_time_is_said_so() -> None:
    """Who waits for what does not come is told, and the stream stays open."""
    body = Body()
    stream = opened(body)
    assert not stream.wait_events(2, 0.01)
    assert not stream.wait_comments(1, 0.01)
    assert not stream.wait_closed(0.01)
    body.go_on.set()


def test_a_stream_that_breaks_says_why() -> None:
    """A reset is a problem of the call, not an exception in a thread."""
    body = Body(breaks=True)
    stream = opened(body)
    body.go_on.set()
    assert stream.wait_closed(5)
    assert (stream.problem, [json.loads(event.data) for event in stream.events]) == (
        "ReadError: reset", [{"status": "running"}],
    )  # fmt: skip


def test_a_stream_of_very_many_lines_is_left() -> None:
    """Each line costs more memory than it has bytes."""
    headers = {"content-type": "text/event-stream"}
    stream = Stream(httpx2.Response(200, headers=headers, content=b":\n" * (MAX_LINES + 1)), lambda: EPOCH)
    assert stream.wait_closed(20)
    assert (stream.problem, len(stream.comments)) == ("OSError: the stream has more than 100,000 lines", MAX_LINES)
