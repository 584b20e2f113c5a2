"""The parts of sandboxes in one SQLite file, for one server at a time.

A commit is in the hands of the operating system once it returns, so it survives any end of the process; it is not
forced onto the disk, so a power cut may take the last ones, and never the file.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING

from viralsync_mock.errors import SettingsError, StateError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from viralsync_mock.persistence.backend import Change

FILE = "state.sqlite3"
APPLICATION, VERSION = 0x56534D4B, 1
ROWS = 10_000
"""Rows of one statement, at most: SQLite takes 32,766 parameters."""

SCHEMA = """
CREATE TABLE about (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE part (sandbox TEXT NOT NULL, name TEXT NOT NULL, content BLOB NOT NULL, UNIQUE (sandbox, name));
"""


class SqliteBackend:
    """Raises SettingsError where the file cannot be used, and later StateError."""

    heartbeat: float | None = None

    def __init__(self, folder: Path, spec: str) -> None:
        self._file = folder / FILE
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file.touch(mode=0o600)  # it holds API keys
        except OSError as error:
            raise SettingsError(
                f"--state {folder}: cannot be written: {error.strerror}. Name a folder of your own with space in it."
            ) from None
        with self._explained(SettingsError):
            self._database = sqlite3.connect(self._file, isolation_level=None, check_same_thread=False, timeout=0)
            self._prepare(spec)

    def _prepare(self, spec: str) -> None:
        run = self._database.execute
        run("PRAGMA locking_mode = EXCLUSIVE")
        run("PRAGMA journal_mode = WAL")
        run("PRAGMA synchronous = OFF")
        run("PRAGMA wal_autocheckpoint = 4000")
        run("BEGIN EXCLUSIVE")
        version, [application] = run("PRAGMA user_version").fetchone()[0], run("PRAGMA application_id").fetchone()
        if run("SELECT count(*) FROM sqlite_schema").fetchone()[0] == 0:
            for statement in SCHEMA.strip().split("\n"):
                run(statement)
            run(f"PRAGMA application_id = {APPLICATION}")
            run(f"PRAGMA user_version = {VERSION}")
            run("INSERT INTO about VALUES ('spec', ?)", [spec])
        elif application != APPLICATION or version != VERSION:
            found = f"version {version}" if application == APPLICATION else "another program's"
            raise SettingsError(
                f"--state: {self._file} is {found}, this mock reads version {VERSION}. Start the mock that wrote it, "
                "or name another folder."
            )
        elif (written := run("SELECT value FROM about WHERE name = 'spec'").fetchone()[0]) != spec:
            raise SettingsError(
                f"--state: {self._file} was written with the spec {written}, this mock has {spec}. Start it with that "
                "one, or name another folder."
            )
        run("COMMIT")
        [problem] = run("PRAGMA quick_check(1)").fetchone()
        if problem != "ok":
            raise sqlite3.DatabaseError(problem)

    @contextmanager
    def _explained(self, kind: type[Exception]) -> Iterator[None]:
        """Turn SQLite's errors into one sentence."""
        try:
            yield
        except sqlite3.Error as error:
            prefix = "" if kind is StateError else "--state: "
            raise kind(f"{prefix}{self._file}: {_explain(error)}") from None

    def claim(self, sandbox_id: str) -> dict[str, bytes]:
        """Return the parts of a sandbox."""
        with self._explained(StateError):
            return dict(self._database.execute("SELECT name, content FROM part WHERE sandbox = ?", [sandbox_id]))

    def write(self, changes: Sequence[Change]) -> set[str]:
        """Write all of it, or nothing: one statement in most cases, since each waits for Python's lock."""
        rows = [
            value
            for change in changes
            for name, content in change.fields.items()
            if content is not None
            for value in (change.id, name, content)
        ]
        gone = [(each.id, name) for each in changes for name, content in each.fields.items() if content is None]
        replaced = [(each.id,) for each in changes if each.replaces]
        with self._explained(StateError):
            if replaced or gone or len(rows) > 3 * ROWS:
                self._write_all(rows, gone, replaced)
            elif rows:
                self._insert(rows)
        return set()

    def _write_all(self, rows: list[str | bytes], gone: list[tuple[str, str]], replaced: list[tuple[str]]) -> None:
        run = self._database
        try:
            run.execute("BEGIN")
            run.executemany("DELETE FROM part WHERE sandbox = ?", replaced)
            run.executemany("DELETE FROM part WHERE sandbox = ? AND name = ?", gone)
            for start in range(0, len(rows), 3 * ROWS):
                self._insert(rows[start : start + 3 * ROWS])
            run.execute("COMMIT")
        finally:
            if run.in_transaction:
                with suppress(sqlite3.Error):
                    run.execute("ROLLBACK")

    def _insert(self, rows: list[str | bytes]) -> None:
        values = ", ".join(["(?, ?, ?)"] * (len(rows) // 3))
        self._database.execute(
            f"INSERT INTO part VALUES {values} "  # noqa: S608 - question marks only
            "ON CONFLICT (sandbox, name) DO UPDATE SET content = excluded.content",
            rows,
        )

    def renew(self) -> bool:
        """Nobody else can have the file."""
        return True

    def holds(self) -> bool:
        """Nobody else can have the file."""
        return True

    def with_webhooks(self) -> list[str]:
        """Return the ids of the sandboxes with an outbox."""
        found = "SELECT DISTINCT sandbox FROM part WHERE name >= 'outbox:' AND name < 'outbox;'"
        with self._explained(StateError):
            return [name for (name,) in self._database.execute(found)]

    def ids(self) -> list[str]:
        """Return the ids of all sandboxes."""
        with self._explained(StateError):
            return [name for (name,) in self._database.execute("SELECT DISTINCT sandbox FROM part")]

    def erase_all(self) -> None:
        """Forget every sandbox."""
        with self._explained(StateError):
            self._database.execute("DELETE FROM part")

    def close(self) -> None:
        """Let the next server have the file."""
        with closing(self._database), suppress(sqlite3.Error):
            self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _explain(error: sqlite3.Error) -> str:
    """Return what happened, and what to do."""
    name = getattr(error, "sqlite_errorname", "")
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return "another server uses it. Stop that one, or name another folder."
    if name.startswith("SQLITE_READONLY"):
        return "it is read-only. Make it writable, or name another folder."
    if name.startswith("SQLITE_FULL"):
        return "the disk is full. Make room; what is in memory is written then."
    if name.startswith("SQLITE_CANTOPEN"):
        return "it cannot be opened. Name a folder of your own."
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")) or not name:
        return f"it is damaged ({error}). Move it away, or restore an export of it."
    return f"it cannot be used ({error})."
