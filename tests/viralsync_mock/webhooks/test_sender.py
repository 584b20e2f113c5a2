"""One webhook goes out, to this machine only, and what comes back is bounded."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from ipaddress import ip_address
from subprocess import run
from sys import executable

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.paths import ROOT

from viralsync_mock.webhooks.sender import DeliveryFailed, HttpSender, Reply, WebhookRequest, check_target

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
SIGNED = (("content-type", "application/json"), ("x-render-signature", "abc"))

Script = Callable[["Received", asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Received:
    """One request as it came in on a connection of a number."""

    head: str
    body: bytes
    connection: int


@dataclass
class Receiver:
    """A server that keeps what it received and answers as its script says."""

    script: Script
    url: str = ""
    received: list[Received] = field(default_factory=list)
    connections: int = 0
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take a connection, to be waited for at the end."""
        self.tasks.append(asyncio.create_task(self.serve(reader, writer)))

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take one connection until it ends."""
        self.connections += 1
        number = self.connections
        try:
            while not writer.is_closing():
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                length = re.search(r"content-length: (\d+)", head, re.IGNORECASE)
                body = await reader.readexactly(int(length[1]) if length else 0)
                self.received.append(Received(head, body, number))
                await self.script(self.received[-1], reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()


@asynccontextmanager
async def receiver(script: Script) -> AsyncIterator[Receiver]:
    it = Receiver(script)
    server = await asyncio.start_server(it.accept, "127.0.0.1", 0)
    it.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"
    async with server:
        yield it
        await asyncio.gather(*it.tasks)


@asynccontextmanager
async def sender(most_at_once: int = 32) -> AsyncIterator[HttpSender]:
    it = HttpSender(most_at_once=most_at_once)
    try:
        yield it
    finally:
        await it.close()


def saying(*answers: bytes, then_closes: bool = False) -> Script:
    """Return a script that gives the answers in turn, the last one for ever."""
    left = list(answers)

    async def script(_: Received, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(left.pop(0) if len(left) > 1 else left[0])
        if then_closes:
            writer.close()

    return script


async def silence(_: Received, reader: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
    await reader.read()


def to(url: str, *, timeout: float = 10.0, follows: bool = False) -> WebhookRequest:
    return WebhookRequest(url, b'{"a":1}', SIGNED, timeout, follows)


def redirect(status: int, location: str) -> bytes:
    return f"HTTP/1.1 {status} Moved\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n".encode()


async def failure(send: HttpSender, request: WebhookRequest) -> DeliveryFailed:
    with pytest.raises(DeliveryFailed) as caught:
        await send(request)
    return caught.value


async def test_a_webhook_arrives_as_it_was_given() -> None:
    """Method, path, headers and body reach the receiver, and its answer comes back."""
    async with receiver(saying(OK)) as there, sender() as send:
        assert Reply(200, (("content-length", "2"),), b"ok") == await send(to(f"{there.url}?a=%20b#part"))
        [came] = there.received
    address = there.url.split("/")[2]
    assert (
        [
            "POST /hook?a=%20b HTTP/1.1",
            f"Host: {address}",
            "content-type: application/json",
            "x-render-signature: abc",
            "user-agent: ViralSync-Webhooks/1.0 (mock)",
            "Content-Length: 7",
        ],
        b'{"a":1}',
    ) == (came.head.split("\r\n")[:-2], came.body)


async def test_a_given_user_agent_stays() -> None:
    """The mock's own name fills a gap only."""
    async with receiver(saying(OK)) as there, sender() as send:
        await send(WebhookRequest(there.url, b"", (("User-Agent", "mine"),), 10.0))
    assert re.findall(r"(?i)user-agent: .*(?=\r)", there.received[0].head) == ["User-Agent: mine"]


async def test_sends_share_a_connection() -> None:
    """A connection that stays open serves the next webhook."""
    async with receiver(saying(OK)) as there, sender() as send:
        for _ in range(5):
            await send(to(there.url))
    assert [each.connection for each in there.received] == [1] * 5


async def test_a_connection_closed_in_between_harms_no_send() -> None:
    """A receiver may hang up after each answer without a word: the next webhook takes a new connection."""
    async with receiver(saying(OK, then_closes=True)) as there, sender() as send:
        statuses = [(await send(to(there.url))).status for _ in range(20)]
    assert (statuses, len(there.received)) == ([200] * 20, 20)


async def test_a_webhook_is_never_sent_twice_unseen() -> None:
    """A receiver that reads a webhook on a used connection and hangs up gets it once, and the attempt fails."""

    async def script(came: Received, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(OK) if came is there.received[0] else writer.close()

    async with receiver(script) as there, sender() as send:
        await send(to(there.url))
        error = await failure(send, to(there.url))
    assert (error.kind, [each.connection for each in there.received]) == ("broken_answer", [1, 1])


async def test_no_cookie_comes_back() -> None:
    """What a receiver sets is neither told nor sent with the next webhook."""
    answer = OK.replace(b"\r\n\r\n", b"\r\nSet-Cookie: a=b\r\nAuthorization: c\r\n\r\n", 1)
    async with receiver(saying(answer)) as there, sender() as send:
        reply = await send(to(there.url))
        await send(to(there.url))
    assert reply.headers == (("content-length", "2"),)
    assert "cookie" not in there.received[1].head.lower()


async def test_an_answer_of_any_status_is_a_reply() -> None:
    """What a status means is for the caller to say."""
    async with receiver(saying(b"HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n")) as there, sender() as send:
        assert Reply(500, (("content-length", "0"),), b"") == await send(to(there.url))


async def test_a_huge_body_is_not_read_to_its_end() -> None:
    """The first 4 KiB are told, and the endless rest is never awaited."""

    async def script(_: Received, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 10000000000\r\n\r\n")
        while not writer.is_closing():
            writer.write(b"x" * 100_000)
            await writer.drain()

    async with receiver(script) as there, sender() as send:
        reply = await send(to(there.url))
    assert (reply.status, reply.body) == (200, b"x" * 4096)


async def test_headers_are_bounded() -> None:
    """Fifty headers of a thousand characters are told of any number."""
    lines = b"".join(b"x-%d: %s\r\n" % (number, b"v" * 1100) for number in range(60))
    answer = OK.replace(b"content-length", lines + b"content-length", 1)
    async with receiver(saying(answer)) as there, sender() as send:
        headers = (await send(to(there.url))).headers
    assert tuple((f"x-{number}", "v" * 1000) for number in range(50)) == headers


@pytest.mark.parametrize(
    "beginning",
    [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nslow", redirect(307, "/again")],
    ids=["nothing", "half a head", "half a body", "a redirect"],
)
async def test_the_time_out_covers_the_whole_attempt(beginning: bytes) -> None:
    """A receiver that stops anywhere before the end, or behind a redirect, costs the time-out and no more."""

    async def script(came: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(beginning)
        if "/again" in came.head or b"307" not in beginning:
            await reader.read()

    async with receiver(script) as there, sender() as send:
        error = await failure(send, to(there.url, timeout=0.05, follows=True))
    assert error.kind == "timed_out"
    assert f'"{there.url}" gave no whole answer within 0.05 s: answer first, work later.' == error.reason


async def test_a_port_where_nobody_listens_is_unreachable() -> None:
    """A refused connection is told as one sentence with the URL."""
    async with receiver(silence) as there:
        pass
    async with sender() as send:
        error = await failure(send, to(there.url))
    assert error.kind == "unreachable"
    assert f'Cannot send to "{there.url}": All connection attempts failed.' == str(error)


@pytest.mark.parametrize("value", ["a\r\nb: c", "ä"])
async def test_a_header_that_http_cannot_carry_is_not_sent(value: str) -> None:
    """A line break or another alphabet in a header's value ends the attempt, not the caller."""
    async with receiver(saying(OK)) as there, sender() as send:
        error = await failure(send, WebhookRequest(there.url, b"", (("x", value),), 10.0))
    assert (error.kind, there.received) == ("unreachable", [])


async def test_https_speaks_tls() -> None:
    """A receiver that answers in plain text is no https receiver, and hears no webhook."""
    heard, is_closed = bytearray(), asyncio.Event()

    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.extend(await reader.read(10_000))
        writer.write(OK)
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
        is_closed.set()

    async with await asyncio.start_server(plain, "127.0.0.1", 0) as server, sender() as send:
        error = await failure(send, to(f"https://localhost:{server.sockets[0].getsockname()[1]}/"))
        await is_closed.wait()
    assert (error.kind, heard[0], b"signature" in heard) == ("unreachable", 0x16, False)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"garbage\r\n\r\n",
        b"HTTP/1.1 20 \r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\ncut",
        b"\x00" * 200,
    ],
)
async def test_what_is_no_http_answer_is_broken(answer: bytes) -> None:
    """Garbage, silence and a body cut short are told as a broken answer."""
    async with receiver(saying(answer, then_closes=True)) as there, sender() as send:
        error = await failure(send, to(there.url))
    assert error.kind == "broken_answer"
    assert error.reason.startswith(f'No HTTP answer came from "{there.url}": ')


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_a_reply_unless_followed(status: int) -> None:
    """Without `follows_redirects` the redirect itself comes back."""
    async with receiver(saying(redirect(status, "/next"), OK)) as there, sender() as send:
        assert status == (await send(to(there.url))).status
    assert len(there.received) == 1


@pytest.mark.parametrize(("status", "method"), [(301, "GET"), (302, "GET"), (303, "GET"), (307, "POST"), (308, "POST")])
async def test_a_followed_redirect_keeps_the_body_when_its_status_says_so(status: int, method: str) -> None:
    """307 and 308 repeat the webhook, the others ask for the next page."""
    async with receiver(saying(redirect(status, "next?a=1"), OK)) as there, sender() as send:
        assert (await send(to(there.url, follows=True))).status == 200
    _, second = there.received
    keeps = method == "POST"
    assert f"{method} /next?a=1 HTTP/1.1" == second.head.split("\r\n")[0]
    assert (keeps, keeps, True) == ("content-type" in second.head, bool(second.body), "signature" in second.head)


@pytest.mark.parametrize(
    "answer", [b"HTTP/1.1 304 Same\r\n\r\n", b"HTTP/1.1 307 Lost\r\ncontent-length: 0\r\n\r\n"], ids=["304", "nowhere"]
)
async def test_a_redirect_to_nowhere_is_a_reply(answer: bytes) -> None:
    """A 304, and a redirect without a location, cannot be followed."""
    async with receiver(saying(answer)) as there, sender() as send:
        assert (await send(to(there.url, follows=True))).status in {304, 307}


@pytest.mark.parametrize(
    "location",
    ["http://example.com/", "//example.com", "http://127.0.0.1@example.com/", "http://[::1", "ftp://localhost/"],
)
async def test_a_redirect_away_is_not_followed(location: str) -> None:
    """Each hop is held to the rule of the first; the text says where it led."""
    async with receiver(saying(redirect(307, location))) as there, sender() as send:
        error = await failure(send, to(there.url, follows=True))
    assert (error.kind, len(there.received)) == ("redirected_away", 1)
    assert error.reason.startswith(f'"{there.url}" redirects to "{location}", which is not followed: ')


async def test_redirects_end_after_five_hops() -> None:
    """A receiver that redirects for ever is asked six times."""
    async with receiver(saying(redirect(307, "/hook"))) as there, sender() as send:
        error = await failure(send, to(there.url, follows=True))
    assert (error.kind, len(there.received)) == ("broken_answer", 6)


async def test_no_more_are_under_way_than_allowed() -> None:
    """Of 200 webhooks at once the receiver never holds more than eight; waiting counts against no time-out."""
    most = now = 0

    async def script(_: Received, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal most, now
        now += 1
        most = max(most, now)
        await pause(0.005)
        now -= 1
        writer.write(OK)

    async with receiver(script) as there, sender(most_at_once=8) as send:
        replies = await asyncio.gather(*(send(to(there.url)) for _ in range(200)))
    assert ({200}, 200, 8) == ({reply.status for reply in replies}, len(there.received), most)


async def pause(seconds: float) -> None:
    turn = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_later(seconds, turn.set_result, None)
    await turn


async def test_closing_aborts_what_is_under_way_and_what_waits() -> None:
    """Each send ends with `NotSent` at once, those still waiting for a turn too."""
    arrived = asyncio.Event()

    async def script(_: Received, reader: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
        arrived.set()
        await reader.read()

    async with receiver(script) as there, sender(most_at_once=1) as send:
        under_way = [asyncio.create_task(failure(send, to(there.url))) for _ in range(3)]
        await arrived.wait()
        async with asyncio.timeout(5):
            await send.close()
        errors = await asyncio.gather(*under_way)
    assert {f'The mock stopped before "{there.url}" answered: start it again.'} == {str(error) for error in errors}
    assert len(there.received) == 1


async def test_a_closed_sender_stays_closed() -> None:
    """Closing twice does no harm, and nothing is sent afterwards."""
    async with receiver(saying(OK)) as there, sender() as send:
        await send(to(there.url))
        await send.close()
        await send.close()
        error = await failure(send, to(there.url))
    assert (error.kind, len(there.received)) == ("unreachable", 1)


async def test_a_cancelled_send_is_cancelled() -> None:
    """A caller's own cancel is no time-out, and frees the turn."""
    arrived = asyncio.Event()

    async def script(came: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        arrived.set()
        if came is there.received[0]:
            await reader.read()
        else:
            writer.write(OK)

    async with receiver(script) as there, sender(most_at_once=1) as send:
        first = asyncio.create_task(send(to(there.url)))
        await arrived.wait()
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        assert (await send(to(there.url))).status == 200


@pytest.mark.parametrize("url", ["http://example.com/", "ftp://localhost/"])
async def test_a_refused_target_is_not_sent_to(url: str) -> None:
    """The sender itself holds to the rule, whoever calls."""
    async with sender() as send:
        assert (await failure(send, to(url))).kind == "refused_target"


async def test_a_name_that_cannot_be_looked_up_is_unreachable() -> None:
    """A label longer than names may have ends the attempt, not the caller."""
    host = "a" * 100
    send = HttpSender([host])
    error = await failure(send, to(f"http://{host}/"))
    await send.close()
    assert error.kind == "unreachable"


PLAINLY_HERE = [
    "http://localhost",
    "http://localhost:3000/hook?a=b#c",
    "HTTPS://LocalHost/",
    "http://127.0.0.1/",
    "http://127.0.0.1:65535/ä@b",
    "http://127.255.255.254/",
    "http://[::1]/",
    "http://[0:0:0:0:0:0:0:1]:8080",
    "http://localhost?a=http://example.com",
    "http://localhost#@example.com",
]
ELSEWHERE_OR_UNCLEAR = [
    "",
    "localhost",
    "//localhost/",
    "ftp://localhost/",
    "file:///etc/passwd",
    "http:localhost",
    "http:///hook",
    "http://",
    "http://:80/",
    "http://example.com/",
    "http://localhost.example.com/",
    "http://evil-localhost/",
    "http://a.localhost/",
    "http://localhost./",
    "http://127.0.0.1./",
    "http://127.0.0.1@example.com/",
    "http://example.com@127.0.0.1/",
    "http://user:word@localhost/",
    "http://localhost\\@example.com/",
    "http://localhost/\\example.com",
    "http:\\\\localhost/",
    "http://2130706433/",
    "http://0x7f000001/",
    "http://0x7f.1/",
    "http://0177.0.0.1/",
    "http://127.0.0.01/",
    "http://127.1/",
    "http://127.0.0.256/",
    "http://128.0.0.1/",
    "http://0.0.0.0/",
    "http://0/",
    "http://10.0.0.1/",
    "http://169.254.169.254/latest/",
    "http://[::]/",
    "http://[::ffff:127.0.0.1]/",
    "http://[::127.0.0.1]/",
    "http://[::1%25lo]/",
    "http://[::1",
    "http://::1/",
    "http://[127.0.0.1]/",
    "http://[localhost]/",
    "http://localho\u017ft/",
    "http://①②⑦.0.0.1/",
    "http://127。0。0。1/",
    "http://127.0.0.\u0661/",
    "http://%6cocalhost/",
    "http://localhost%00.example.com/",
    "http://localhost:0/",
    "http://localhost:65536/",
    "http://localhost:/",
    "http://localhost:80:80/",
    "http://localhost:+80/",
    "http://localhost:8\u0660/",
    "http://local\thost/",
    "http://localhost/\r\nx: y",
    "http://localhost/\n",
    " http://localhost/",
    "http://localhost /",
    "http://localhost/\ud800",
    "http://localhost/" + "a" * 9000,
]


@pytest.mark.parametrize("url", PLAINLY_HERE)
def test_what_is_plainly_this_machine_is_allowed(url: str) -> None:
    """The loopback addresses and `localhost`, over http and https, on any port and path."""
    check_target(url, ())
    assert httpx2.URL(url).host.casefold() in {"localhost", "127.0.0.1", "127.255.255.254", "::1", "0:0:0:0:0:0:0:1"}


@pytest.mark.parametrize("url", ELSEWHERE_OR_UNCLEAR, ids=ascii)
def test_everything_else_is_refused(url: str) -> None:
    """Other hosts, and whatever one parser could take for another host, with the way out in the text."""
    with pytest.raises(DeliveryFailed, match="--allow-webhook-host") as caught:
        check_target(url, ())
    assert caught.value.kind == "refused_target"


@given(
    st.one_of(
        st.text(),
        st.text("htps:/\\@[].:#?%01270localhost \t\n", max_size=30).map("http://{}".format),
        st.from_regex(r"https?://([^/]{0,5}@)?(localhost|127\.\d+\.\d+\.\d+|\[::1\])[^/]{0,4}(/.*)?", fullmatch=True),
    )
)
def test_httpx2_connects_to_the_host_that_was_checked(url: str) -> None:
    """Of any text that is let through, httpx2 understands the same host: this machine."""
    try:
        check_target(url, ())
    except DeliveryFailed:
        return
    host = httpx2.URL(url).host
    assert host == "localhost" or ip_address(host).is_loopback


@pytest.mark.parametrize(
    ("url", "named"),
    [
        ("http://Example.com:81/", "example.com"),
        ("https://example.com", "EXAMPLE.COM"),
        ("http://my_service:8000/", "my_service"),
        ("http://10.0.0.1/", "10.0.0.1"),
        ("http://[fd00::1]/", "fd00::1"),
        ("http://[FD00::1]/", "[fd00::1]"),
    ],
)
def test_a_named_host_is_allowed(url: str, named: str) -> None:
    """A host that the command names is allowed in either case, on any port; others stay refused."""
    check_target(url, ["other.test", named])
    with pytest.raises(DeliveryFailed):
        check_target(url, ["other.test"])


@pytest.mark.parametrize(
    "url", ["http://a.example.com/", "http://example.com./", "http://example.com@evil.test/", "http://exämple.com/"]
)
def test_a_named_host_allows_no_other(url: str) -> None:
    """Neither a part of a name, nor one that looks alike, is the name."""
    with pytest.raises(DeliveryFailed):
        check_target(url, ["example.com", "exämple.com"])


def test_a_refusal_explains_itself() -> None:
    """It says what came, why it is refused, and what to do."""
    with pytest.raises(DeliveryFailed) as caught:
        check_target("https://Example.com/hook", ())
    assert str(caught.value) == (
        'The webhook URL "https://Example.com/hook" leads to "example.com", which is not plainly this machine: '
        "webhooks go to localhost, 127.0.0.0/8 and [::1] only; to allow another host, start with "
        "--allow-webhook-host example.com."
    )


def test_httpx2_is_imported_with_the_first_send_only() -> None:
    """Neither the module, nor a sender that sends nothing, nor a check of a URL costs the import."""
    code = (
        "import sys, viralsync_mock.webhooks.sender as s; s.HttpSender(); s.check_target('http://localhost/', ());"
        "sys.exit('httpx2' in sys.modules)"
    )
    assert run([executable, "-c", code], cwd=ROOT).returncode == 0
