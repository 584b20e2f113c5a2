"""A folder that cannot be used is refused with one sentence, and one that cannot be written any more says so."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any

import httpx
import pytest
from click.testing import CliRunner
from tests.conftest import MOVIE, LiveServer
from tests.support.processes import mock_process
from tests.viralsync_mock.control.test_control import watched

from viralsync_mock.app import create_app
from viralsync_mock.cli import main
from viralsync_mock.clock import Mode
from viralsync_mock.errors import StateError
from viralsync_mock.persistence.backend import Change
from viralsync_mock.persistence.sqlite import FILE, SqliteBackend
from viralsync_mock.settings import Settings

SPEC = "an API 1.0.0"


def written(folder: Path) -> Path:
    """Write a state, and return its file."""
    backend = SqliteBackend(folder, SPEC)
    backend.write([Change("a" * 32, {"head": b"x" * 50_000}, replaces=True)])
    backend.close()
    return folder / FILE


def refusal(folder: Path) -> str:
    """Return what `serve` says, in one line, with exit code 2."""
    result = CliRunner().invoke(main, ["serve", "--port", "0", "--state", str(folder)])
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.count("\n") == 1, result.stderr
    return result.stderr


def damaged(folder: Path) -> None:
    file = written(folder)
    content = bytearray(file.read_bytes())
    content[4096:12_288] = b"\xff" * 8192
    file.write_bytes(content)


def not_a_database(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    (folder / FILE).write_text("This is a text. " * 100)


def of_another_version(folder: Path) -> None:
    with closing(sqlite3.connect(written(folder))) as database:
        database.execute("PRAGMA user_version = 7")


def of_another_program(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    with closing(sqlite3.connect(folder / FILE)) as database:
        database.execute("CREATE TABLE theirs (x)")


def of_another_spec(folder: Path) -> None:
    written(folder)


def a_file_in_its_place(folder: Path) -> None:
    folder.write_text("")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (damaged, "is damaged"),
        (not_a_database, "is damaged (file is not a database)"),
        (of_another_version, "is version 7, this mock reads version 1"),
        (of_another_program, "another program's"),
        (of_another_spec, f"was written with the spec {SPEC}, this mock has ViralSync"),
        (a_file_in_its_place, "cannot be written: "),
    ],
)
def test_a_folder_that_cannot_be_used_is_refused_in_one_line(
    tmp_path: Path, spoil: Callable[[Path], None], said: str
) -> None:
    """It says what is wrong and what to do, and changes nothing."""
    folder = tmp_path / "state"
    spoil(folder)
    text = refusal(folder)
    assert said in text
    assert str(folder) in text


def test_a_folder_has_one_server(tmp_path: Path) -> None:
    """The second is refused while the first runs, and not after it was killed."""
    with mock_process("--state", tmp_path) as mock:
        assert "another server uses it" in refusal(tmp_path)
        mock.kill()
    with mock_process("--state", tmp_path):
        pass


def test_a_place_that_is_neither_folder_nor_redis_is_refused() -> None:
    """A URL of another kind is no folder."""
    assert "expected a folder or redis://" in refusal("postgres://localhost")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("pragma", "said"), [("query_only = ON", "is read-only"), ("max_page_count = 1", "the disk is full")]
)
def test_what_cannot_be_written_raises_a_sentence(tmp_path: Path, pragma: str, said: str) -> None:
    """Nothing of the write is kept."""
    backend = SqliteBackend(tmp_path, SPEC)
    backend._database.execute(f"PRAGMA {pragma}")
    for replaces in (False, True):
        with pytest.raises(StateError, match=said):
            backend.write([Change("a", {"head": b"x" * 100_000}, replaces=replaces)])
    assert backend.claim("a") == {}
    backend.close()


def test_a_full_disk_refuses_submissions_and_loses_none_once_there_is_room(
    start_mock: Callable[[Settings], LiveServer], tmp_path: Path
) -> None:
    """What was answered stays; the refused call says why; with room everything is written."""
    server = start_mock(Settings(clock=Mode.FROZEN, state=str(tmp_path)))
    keeper: Any = server.app.mock.sandboxes.keeper
    said: list[str] = []
    server.app.mock.sandboxes.report = said.append
    with server.client("vs_prod_" + "1" * 32) as client:
        assert client.post("/v1/render/jobs", json=MOVIE).status_code == 202
        database = keeper._backend._database
        keeper._worker.submit(database.execute, "PRAGMA max_page_count = 1").result()
        large = {**MOVIE, "movie": {**MOVIE["movie"], "title": "x" * 50_000}}  # type: ignore[dict-item]
        refused = client.post("/v1/render/jobs", json=large)
        assert (refused.status_code, refused.json()["code"]) == (503, "STATE_UNAVAILABLE")
        assert "the disk is full" in refused.json()["error"]
        again = client.patch("/__mock/account", json={"minutesUsed": 1})
        assert again.status_code == 503  # and the log says it once
        keeper._worker.submit(database.execute, "PRAGMA max_page_count = 100000").result()
        assert client.post("/v1/render/jobs", json=MOVIE).status_code == 202
    assert len(said) == 1
    assert "the disk is full" in said[0]
    assert server.bugs == []
    keeper._worker.submit(lambda: None).result()
    stored = keeper._worker.submit(keeper._backend.claim, keeper._backend.ids()[0]).result()
    assert sum(name.startswith("job:") for name in stored) == 3


def test_a_full_disk_makes_the_mock_ill_until_there_is_room_without_any_call(
    start_mock: Callable[[Settings], LiveServer], tmp_path: Path
) -> None:
    """`/__mock/health` and the command say so; only who may use the control API reads the path of the file."""
    server = start_mock(Settings(clock=Mode.FROZEN, state=str(tmp_path), control_token="sesame"))
    keeper: Any = server.app.mock.sandboxes.keeper
    database = keeper._backend._database
    probe = partial(CliRunner().invoke, main, ["health", "--url", server.base_url])
    with server.client("vs_prod_" + "1" * 32) as client, watched(httpx.Client(base_url=server.base_url)) as control:
        assert (client.post("/v1/render/jobs", json=MOVIE).status_code, probe().exit_code) == (202, 0)
        keeper._worker.submit(database.execute, "PRAGMA max_page_count = 1").result()
        large = {**MOVIE, "movie": {**MOVIE["movie"], "title": "x" * 50_000}}  # type: ignore[dict-item]
        assert client.post("/v1/render/jobs", json=large).status_code == 503
        health = control.get("/__mock/health")
        assert (health.status_code, health.json()["status"]) == (503, "failing")
        assert health.json().keys() == {"status", "problem"}
        assert str(tmp_path) not in health.text
        full = control.get("/__mock/health", headers={"x-mock-token": "sesame"}).json()
        assert "the disk is full" in full["problem"]
        assert (probe().exit_code, "is failing: The state cannot be kept" in probe().output) == (1, True)
        keeper._worker.submit(database.execute, "PRAGMA max_page_count = 100000").result()
        for _ in range(100):
            if control.get("/__mock/health").json() == {"status": "ok"}:
                break
            Event().wait(0.1)
        assert (control.get("/__mock/health").status_code, probe().exit_code) == (200, 0)


def test_a_mock_that_stops_on_a_full_disk_says_what_is_lost(tmp_path: Path) -> None:
    """The last line of the log is that of the changes that could not be written."""
    app = create_app(Settings(clock=Mode.FROZEN, state=str(tmp_path)))
    keeper: Any = app.mock.sandboxes.keeper
    said: list[str] = []
    app.mock.sandboxes.report = said.append

    async def stop() -> None:
        keeper._worker.submit(keeper._backend._database.execute, "PRAGMA max_page_count = 1").result()
        keeper._apart["a"] = Change("a", {"head": b"x" * 100_000}, replaces=True)
        await keeper.close()

    asyncio.run(stop())
    assert "what changed last is lost" in said[-1]
    assert "the disk is full" in said[-1]


def test_a_mock_that_stops_on_a_full_disk_ends_without_a_bug(tmp_path: Path) -> None:
    """What is left unwritten when its sandbox leaves memory starts no write after the end."""
    app = create_app(Settings(clock=Mode.FROZEN, state=str(tmp_path)))
    keeper: Any = app.mock.sandboxes.keeper
    key = "vs_prod_" + "1" * 32

    async def stop() -> None:
        await keeper.prepare(key)
        sandbox: Any = app.mock.sandbox(key)
        await keeper.close()
        keeper._changed[sandbox.recorder.id] = sandbox.recorder  # as after a write that failed
        keeper.park(sandbox)
        assert keeper._timer is None

    asyncio.run(stop())
