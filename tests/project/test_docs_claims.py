"""The sentences of the documentation about behaviour are true: each is quoted in `claims/PAGE.txt` and tried.

A claim is the quote, on lines that begin with `>`, and its steps, one a line; an indented line goes on with the one
before, `#` begins a comment. "…" in a quote leaves something out. Each claim has a fresh sandbox on a frozen clock.

    METHOD TARGET [Header: value] {body} => STATUS [header: regex] {what the body contains}    or  ~regex, or !~regex
    SUBMIT {changes} => 202              submits the usual movie with other fields
    ADVANCE 30s                          moves the clock, which has to work
    120x GET /v1/me => 200               a step, repeated
    BEGIN GET /v1/jobs/$job/progress     opens a stream; `END => 200 ~regex` reads it to its end
    KEY other                            goes on with another sandbox, or back
    SERVE --journal-size 2               goes on with a mock of its own, started with these options
    LET cursor = nextCursor              keeps a part of the last answer as $cursor
    FILE odd.yaml text\\nof the file      writes a file
    CLI scenarios check odd.yaml => 2 ~regex
    PYTEST test_a.py => 1 ~regex         runs pytest in a process of its own: slow
    PY sandbox.clock.mode == "frozen"    an expression that is true, with the Python client

Bodies are YAML in one line, or a quoted text that is sent as it is; `-` as a header's value leaves the header out. What
an answer contains is written as `match.body` of a rule, with its comparisons. Instead of a status, `lost` is a
connection that breaks off, and `late` an answer that does not come within 0.3 s. $job and $call are the last ones;
$BASE is the address.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import click
import httpx
import orjson
import pytest
import yaml
from click.testing import CliRunner
from tests.conftest import LiveServer, movie
from tests.support.paths import ROOT
from tests.support.pytester_runs import USUAL

from viralsync_mock import Sandbox
from viralsync_mock.cli import main, serve, settings_of
from viralsync_mock.randomness import hexadecimal
from viralsync_mock.scenarios.body_match import mismatches
from viralsync_mock.settings import Settings

CLAIMS = Path(__file__).parent / "claims"
STEP = re.compile(r"(?:(\d+)x )?([A-Z]+)(?: (?!=>)(.*?))?(?: => (\w+)(?: (.*))?)?")
HEADER = re.compile(r"\[([\w-]+): ?(.*?)\](?: |$)")
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


@dataclass
class Claim:
    """A quote of a page, and what shows that it is true."""

    page: str
    quote: str
    steps: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return f"{self.page}: {self.quote[:60]}"


def claims(path: Path) -> Iterator[Claim]:
    """Yield the claims of one file."""
    claim = Claim(path.stem, "")
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith(">"):
            if claim.steps:
                yield claim
                claim = Claim(path.stem, "")
            claim.quote = f"{claim.quote} {line[1:].strip()}".strip()
        elif line.startswith(" "):
            claim.steps[-1] += f" {line.strip()}"
        elif line and not line.startswith("#"):
            claim.steps.append(line)
    yield claim


ALL = [
    pytest.param(claim, marks=pytest.mark.slow if any(step.startswith("PYTEST") for step in claim.steps) else ())
    for path in sorted(CLAIMS.glob("*.txt"))
    for claim in claims(path)
]


@dataclass
class Session:
    """Carries out the steps of a claim; `answer` is the last one."""

    server: LiveServer
    start: Callable[[Settings], LiveServer]
    folder: Path
    streams: ExitStack
    client: httpx.Client = field(init=False)
    scope: str = field(init=False)
    stream: httpx.Response | None = None
    names: dict[str, Any] = field(default_factory=dict)
    keys: dict[str, httpx.Client] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.scope = self.server.scope
        self.use_key("first")

    def use_key(self, name: str) -> None:
        """Go on with the sandbox of this name."""
        if name not in self.keys:
            key = f"vs_prod_{hexadecimal(self.scope, name, length=32)}"
            self.keys[name] = self.streams.enter_context(self.server.client(key))
        self.client = self.keys[name]

    def run(self, line: str) -> None:
        """Carry out one step; fail with what came if it is not what was expected."""
        for name, value in {"BASE": self.server.base_url, **self.names}.items():
            line = line.replace(f"${name}", value if isinstance(value, str) else orjson.dumps(value).decode())
        step = STEP.fullmatch(line)
        assert step, f"not a step: {line}"
        times, word, rest, outcome, expected = step.groups(default="")
        for _ in range(int(times or 1)):
            getattr(self, f"do_{word.lower()}", partial(self.call, word))(rest, outcome, expected)

    def call(self, method: str, rest: str, outcome: str, expected: str, base: dict[str, Any] | None = None) -> None:
        """Make a call and look at its answer."""
        assert method in METHODS, f"not a step: {method}"
        try:
            response = self.client.send(self.request(method, rest, 0.3 if outcome == "late" else 10, base))
        except httpx.TransportError as error:
            if outcome != ("late" if isinstance(error, httpx.ReadTimeout) else "lost"):
                raise AssertionError(repr(error)) from error
        else:
            self.look(response, outcome, expected)

    def request(self, method: str, rest: str, seconds: float, base: dict[str, Any] | None = None) -> httpx.Request:
        """Return a call as it is written."""
        target, _, rest = rest.partition(" ")
        headers = {**self.client.headers, "content-type": "application/json"}
        while header := HEADER.match(rest):
            headers.pop(header[1].lower(), None)
            headers |= {} if header[2] == "-" else {header[1].lower(): header[2]}
            rest = rest[header.end() :]
        body = yaml.safe_load(rest) if rest else None
        body = body if base is None else {**base, **(body or {})}
        content = body if isinstance(body, str) else orjson.dumps(body) if body is not None else None
        url = self.client.base_url.copy_with(raw_path=target.encode())
        return httpx.Request(
            method, url, headers=headers, content=content, extensions={"timeout": httpx.Timeout(seconds).as_dict()}
        )

    def look(self, response: httpx.Response, outcome: str, expected: str) -> None:
        """Hold an answer against what is expected of it."""
        self.names["call"] = response.headers.get("x-mock-call-id", "")
        came = f"{response.status_code} {dict(response.headers)} {response.text[:2000]}"
        assert str(response.status_code) == (outcome or "200"), came
        while header := HEADER.match(expected):
            value = response.headers.get(header[1])
            assert value is None if header[2] == "-" else re.search(header[2], value or ""), came
            expected = expected[header.end() :]
        if expected.startswith(("~", "!~")):
            assert contains(response.text, expected), came
        elif expected:
            wrong = "; ".join(mismatches(response.json(), yaml.safe_load(expected)))
            assert not wrong, f"{wrong}\n{came}"
        self.answer = response
        if response.status_code == httpx.codes.ACCEPTED:
            self.names["job"] = response.json()["jobId"]

    def do_submit(self, rest: str, outcome: str, expected: str) -> None:
        """Submit the usual movie."""
        self.call("POST", f"/v1/render/jobs {rest}", outcome or "202", expected, movie())

    def do_advance(self, rest: str, outcome: str, expected: str) -> None:
        """Move the clock by seconds."""
        self.call("POST", f"/__mock/clock/advance {{seconds: {rest}}}", outcome, expected)

    def do_begin(self, rest: str, *_: str) -> None:
        """Open a stream."""
        method, _, rest = rest.partition(" ")
        self.stream = self.client.send(self.request(method, rest, 10), stream=True)
        self.streams.callback(self.stream.close)

    def do_end(self, _: str, outcome: str, expected: str) -> None:
        """Read the stream to its end."""
        assert self.stream is not None
        self.stream.read()
        self.look(self.stream, outcome, expected)

    def do_key(self, rest: str, *_: str) -> None:
        """Go on with another sandbox."""
        self.use_key(rest)

    def do_serve(self, rest: str, *_: str) -> None:
        """Go on with a mock of its own."""
        given = serve.make_context(
            "serve", ["--frozen", *rest.split()], parent=click.Context(main, **main.context_settings)
        )
        self.server, self.keys = self.start(settings_of(given)), {}
        self.use_key("first")

    def do_let(self, rest: str, *_: str) -> None:
        """Keep a part of the last answer."""
        name, _, path = rest.partition(" = ")
        value = self.answer.json()
        for key in filter(None, path.split(".")):  # "." is the whole answer
            value = value[int(key) if isinstance(value, list) else key]
        self.names[name] = value

    def do_pytest(self, rest: str, outcome: str, expected: str) -> None:
        """Run pytest in the folder of the claim."""
        command = [sys.executable, "-m", "pytest", *USUAL, *rest.split()]
        done = subprocess.run(command, capture_output=True, text=True)
        assert str(done.returncode) == (outcome or "0"), done.stdout
        assert contains(done.stdout, expected), done.stdout

    def do_py(self, rest: str, *_: str) -> None:
        """Evaluate an expression with the Python client."""
        with Sandbox(self.server.base_url, self.client.headers["x-api-key"]) as sandbox:
            assert eval(rest, {"sandbox": sandbox, "Path": Path}), "it is false"  # noqa: S307 - written in the claims

    def do_file(self, rest: str, *_: str) -> None:
        """Write a file."""
        name, _, text = rest.partition(" ")
        (self.folder / name).write_text(text.replace("\\n", "\n"), encoding="utf-8")

    def do_cli(self, rest: str, outcome: str, expected: str) -> None:
        """Run a command in the folder of the claim."""
        words = rest.split()
        done = CliRunner().invoke(main, words, env={"VIRALSYNC_API_KEY": self.client.headers["x-api-key"]})
        assert str(done.exit_code) == (outcome or "0"), done.output
        assert contains(done.output, expected), done.output


def contains(text: str, expected: str) -> bool:
    """Say whether a text has what is expected: `~regex`, or `!~regex` for one that it must not have."""
    pattern = expected.lstrip("!~")
    return (re.search(pattern, text) is not None) is not expected.startswith("!")


def in_one_line(text: str) -> str:
    """Return a text with one blank wherever there are several, or the end of a line."""
    return re.sub(r"\s+", " ", text)


@dataclass
class ClaimChecker:
    """Checks claims on the shared mock, or on one of their own."""

    server: LiveServer
    start: Callable[[Settings], LiveServer]
    folder: Path

    def check(self, claim: Claim) -> None:
        """Fail if the page does not have the quote, or a step gets something else than is expected."""
        page = ROOT / ("README.md" if claim.page == "README" else f"docs/{claim.page}.md")
        parts = [re.escape(part.strip()) for part in claim.quote.split("…")]
        if not re.search(".*?".join(parts), in_one_line(page.read_text(encoding="utf-8"))):
            hint = f"change tests/project/claims/{claim.page}.txt with it"
            pytest.fail(f"{page.relative_to(ROOT)} says no more: {claim.quote}\n{hint}", pytrace=False)
        with ExitStack() as streams:
            session = Session(self.server, self.start, self.folder, streams)
            for line in claim.steps:
                try:
                    session.run(line)
                except (AssertionError, click.ClickException) as error:
                    pytest.fail(f"{line}\n{str(error).partition(chr(10) + 'assert ')[0]}", pytrace=False)


@pytest.fixture
def checker(
    live_server: LiveServer,
    start_mock: Callable[[Settings], LiveServer],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> ClaimChecker:
    """Return a checker; commands run in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    return ClaimChecker(live_server, start_mock, tmp_path)


@pytest.mark.parametrize("claim", ALL, ids=str)
def test_what_the_page_says_is_there_and_true(checker: ClaimChecker, claim: Claim) -> None:
    """The quote stands on the page, and every step of it gets what is expected."""
    checker.check(claim)


@pytest.mark.parametrize(
    "step",
    [
        "GET /v1/me => 404",
        "GET /v1/me => lost",
        "GET /v1/me => 200 {plan: free}",
        "GET /v1/me => 200 ~free",
        "GET /v1/me => 200 !~pro",
        "GET /v1/me => 200 [x-mock-call-id: nothing]",
        "GET /v1/me => 200 [x-mock-call-id: -]",
        "GET /v1/me [X-Mock-Fault: timeout] => lost",
        "CLI faults list => 1",
        "CLI faults list => 0 ~no such fault",
        "LOOK /v1/me",
    ],
)
def test_a_false_claim_fails(checker: ClaimChecker, step: str) -> None:
    """Whatever is wrong: the status, the body, a header, the way in which the call ends, the step itself."""
    checker.check(Claim("faults", "Faults", ["GET /v1/me => 200 {plan: pro}"]))
    with pytest.raises(pytest.fail.Exception):
        checker.check(Claim("faults", "Faults", [step]))


def test_a_sentence_that_has_changed_is_noticed(checker: ClaimChecker) -> None:
    """A claim is bound to the words of the page."""
    with pytest.raises(pytest.fail.Exception):
        checker.check(Claim("faults", "Faults are deliberate kindness"))
