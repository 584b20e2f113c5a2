"""The rule of the verdict about walking through the pages of a list."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from viralsync_mock.verdict.evidence import LIST, document, failed, inconclusive, passed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from viralsync_mock.journal.entry import JournalEntry
    from viralsync_mock.verdict.evidence import Evidence, Observation

Filters = tuple[tuple[str, str], ...]


@dataclass
class _Cursor:
    """A cursor: the pages that gave it, under which filters, and the pages that were fetched with it."""

    given: list[JournalEntry] = field(default_factory=list)
    filters: set[Filters] = field(default_factory=set)
    used: list[JournalEntry] = field(default_factory=list)


def reads_each_page_once(evidence: Evidence) -> Iterator[Observation]:
    """Each cursor is fetched once for each time that it was given, under the filters of the walk."""
    cursors: dict[str, _Cursor] = {}
    unread: list[JournalEntry] = []
    for entry in evidence.of(LIST):
        page = document(entry)
        if not isinstance(page, dict):
            unread += [entry] if entry.answer_is_cut else []
            continue
        cursor, filters = _asked(entry)
        if cursor is not None:
            yield from _fetched(cursors.setdefault(cursor, _Cursor()), entry, filters, has_unread=bool(unread))
        if isinstance(following := page.get("nextCursor"), str):
            known = cursors.setdefault(following, _Cursor())
            known.given.append(entry)
            known.filters.add(filters)
    if unread and cursors:
        yield inconclusive(
            "pages were too large to be kept, and their cursors with them: ask for smaller ones", *unread
        )


def _asked(entry: JournalEntry) -> tuple[str | None, Filters]:
    asked = dict(parse_qsl(entry.query.decode("latin-1"), keep_blank_values=True))
    cursor = asked.pop("cursor", None)
    asked.pop("limit", None)
    return cursor, tuple(sorted(asked.items()))


def _fetched(cursor: _Cursor, entry: JournalEntry, filters: Filters, *, has_unread: bool) -> Iterator[Observation]:
    """Judge the fetch of one page that a cursor names; of one that was given by a page that is not kept nothing is
    known.
    """
    cursor.used.append(entry)
    if not cursor.given or has_unread:
        return
    if filters not in cursor.filters:
        yield failed("the filters changed in the middle of a walk: pages are skipped", cursor.given[-1], entry)
    elif len(cursor.used) > len(cursor.given):
        yield failed(f"a page was fetched {len(cursor.used)} times", *cursor.given[-1:], *cursor.used)
    else:
        yield passed(entry)
