"""The real command against servers that are not ours: what it writes holds no key, also when it is cut short."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from typing import Any
from urllib.parse import parse_qs

import pytest
from tests.support.scripted_target.outages import Trouble
from tests.support.scripted_target.server import KEY, produced, served

pytestmark = pytest.mark.slow

MOMENT, PATIENCE = 0.01, 20.0
REPORTS = {"report.json", "junit.xml", "report.html", "summary.md", "traffic.har", "learned-behaviour.yaml"}
OUTPUT = "https://r2.viralsync.io/outputs/1/output.mp4"


def percent(text: str) -> str:
    """Encode every character, also those that need it not."""
    return "".join(f"%{byte:02x}" for byte in text.encode())


def forms(key: str) -> list[str]:
    """Return what a key looks like wherever it could stand."""
    raw = key.encode()
    shifted = [base64.b64encode(b"x" * shift + raw).decode()[4:-4] for shift in range(3)]
    return [key, key.removeprefix("vs_prod_"), percent(key), percent(key).upper(), raw.hex(), *shifted]


class Echo:
    """Puts the key that it is shown into whatever it answers: headers, bodies, texts of errors, ids, names, events."""

    def __init__(self) -> None:
        self.keys: set[str] = set()

    async def __call__(self, scope: Any, _: Any, send: Any) -> None:
        """Answer anything, as if it were fine."""
        headers = dict(scope["headers"])
        key = headers.get(b"x-api-key", b"").decode() or headers.get(b"authorization", b"").decode()[7:]
        self.keys.add(key)
        status, media_type, body = self._answer(scope, key or "none")
        shown = [(b"x-echo", key.encode()), (b"x-echo-64", base64.b64encode(b"a:" + key.encode())), (b"etag", b'"1"')]
        odd = [(f"x-{key}".lower().encode(), b"1"), (b"set-cookie", f"key={percent(key)}".encode())]
        start = {"type": "http.response.start", "status": status}
        await send({**start, "headers": [(b"content-type", media_type.encode()), *shown, *odd]})
        await send({"type": "http.response.body", "body": body.encode()})

    def _answer(self, scope: Any, key: str) -> tuple[int, str, str]:
        path, is_json = scope["path"], "application/json"
        echo = {"key": key, "bearer": f"Bearer {key}", key: 1, "encoded": percent(key), "hex": key.encode().hex()}
        echo |= {f"base64 {n}": base64.b64encode(b"x" * n + key.encode() + b"yy").decode() for n in range(3)}
        job = {
            "jobId": key,
            "type": "render",
            "status": "done",
            "phase": None,
            "progress": 1,
            "outputUrl": OUTPUT,
        } | echo
        if path == "/v1/me":
            return 200, is_json, json.dumps({"userId": key, "plan": key, "email": f"{key}@x.example"} | echo)
        if path == "/v1/usage":
            return 500, "text/html", f"<p>{key} {percent(key)} {base64.b64encode(key.encode()).decode()}</p>"
        if path == "/v1/jobs":
            cursor = None if parse_qs(scope["query_string"].decode()).get("cursor") else key
            return 200, is_json, json.dumps({"jobs": [job], "nextCursor": cursor} | echo)
        if path.endswith("/progress"):
            data = json.dumps(job)
            return 200, "text/event-stream", f": {key}\n\nid: {key}\nevent: {key}\ndata: {data}\n\n"
        if path == "/v1/render/jobs":
            return 202, is_json, json.dumps(job | {"status": "queued"})
        if path.startswith("/v1/jobs/"):
            return 200, is_json, json.dumps(job)
        return 404, is_json, json.dumps({"error": f"no {key} at {path}", "code": key} | echo)


def conform(url: str, folder: Path, *flags: str, key: str = KEY) -> subprocess.Popen[str]:
    """Start the command; it writes its reports into the folder."""
    program = Path(sys.executable).with_name("viralsync-mock")
    command = [program, "conform", "--target", url, "--report-dir", str(folder), *flags]
    variables = {**os.environ, "VIRALSYNC_API_KEY": key}
    return subprocess.Popen(
        command, env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=folder.parent
    )


def texts(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield every file of a folder, as text."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            yield path.name, path.read_bytes().decode("latin-1")


def leaks(key: str, printed: str, folder: Path) -> list[str]:
    """Return where a key, or what could be turned back into one, can be read."""
    found = [("what was printed", printed), *texts(folder)]
    return [f"{name}: {form[:12]}" for name, text in found for form in forms(key) if form.lower() in text.lower()]


@pytest.mark.parametrize(
    ("key", "flags"),
    [
        (KEY, ("--profile", "nightly", "--max-requests", "70", "--no-canary")),
        ("another-kind-of-key.0123456789~x", ("--profile", "quick")),
    ],
    ids=["usual", "of another form"],
)
def test_no_artefact_holds_the_key(tmp_path: Path, key: str, flags: tuple[str, ...]) -> None:
    """A server that echoes the key everywhere, in every encoding, gets it into nothing that is written."""
    echo = Echo()
    with served(echo) as (url, _, _):
        run = conform(url, tmp_path / "reports", *flags, key=key)
        printed = "".join(run.communicate(timeout=60))
    assert (run.returncode, key in echo.keys) == (1, True)
    assert {name for name, _ in texts(tmp_path / "reports")} >= REPORTS
    assert leaks(key, printed, tmp_path) == []


def test_a_server_that_sends_garbage_is_inconclusive(tmp_path: Path) -> None:
    """Where no answer is HTTP nothing can be said; the reports are written all the same, without a traceback."""
    with produced(troubles=[Trouble("garbage")]) as production:
        run = conform(production.base_url, tmp_path / "reports", "--profile", "quick")
        printed = "".join(run.communicate(timeout=60))
    assert run.returncode == 3, printed
    assert "Traceback" not in printed
    assert leaks(KEY, printed, tmp_path) == []


def test_an_interrupt_cleans_up_and_reports(tmp_path: Path) -> None:
    """Ctrl-C in the middle of a render cancels and deletes the job, writes the reports and is inconclusive."""
    with produced(rate=1) as production:
        run = conform(production.base_url, tmp_path / "reports", "--profile", "nightly", "--no-canary")
        seen = production.production.seen
        made = production.production.made
        assert until(lambda: any(each.path.removeprefix("/v1/jobs/") in made for each in tuple(seen)))
        run.send_signal(signal.SIGINT)
        printed = "".join(run.communicate(timeout=60))
    assert run.returncode == 3, printed
    assert {name for name, _ in texts(tmp_path / "reports")} >= REPORTS
    assert (len(made), production.account.jobs) == (1, {})
    cancelled = [each.status for each in seen if each.path.endswith("/cancel")]
    assert cancelled == [[200]]
    assert leaks(KEY, printed, tmp_path) == []


def until(holds: Any) -> bool:
    """Wait until something holds, for as long as it may take."""
    waiting = Event()
    return any(holds() or waiting.wait(MOMENT) for _ in range(int(PATIENCE / MOMENT)))
