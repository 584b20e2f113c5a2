"""Breaches of section 6: the list."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from .breach_kinds import field_rule, hooked, refused_when, tuned
from .conduct import Breach
from .wire import Doc

_LIST, _TWO, _PAGES = "a list of a few jobs", "a list of two jobs or more", "more than one page of jobs"
_MANY, _TYPES = "more than 25 jobs", "jobs of more than one type"


def _page(name: str, fact: str, needs: str, change: Callable[[Doc, Any], Any]) -> Breach:
    return hooked(name, fact, needs, page=change)


def _cursor(change: Callable[[Any], Any]) -> Callable[[Doc, Any], Any]:
    return lambda page, _call: {**page, "nextCursor": change(page["nextCursor"])}


def _shuffled(job: Any) -> int:
    return int(job.number * 7919 % 101)


def _with_repeat(page: Doc, _call: Any) -> Doc:
    return {**page, "jobs": page["jobs"] + page["jobs"][-1:]}


def _without_newest(page: Doc, call: Any) -> Doc:
    return {**page, "jobs": page["jobs"] if "cursor" in call.request.query else page["jobs"][1:]}


def _domain(wanted: str, job_type: str, _shown: str) -> bool:
    return job_type.partition(".")[0] == wanted.partition(".")[0]


BREACHES: Final = (
    tuned("list-oldest-first", "D-6.1", _TWO, sort=lambda job: (-job.created.timestamp(), -job.number)),
    tuned("list-in-no-order", "D-6.1", _TWO, sort=_shuffled),
    tuned("list-sorted-by-status", "D-6.1", _TWO, sort=lambda job: (job.status, job.number)),
    tuned("limit-ignored", "D-6.2", _TWO, page_size=lambda _limit: 25),
    tuned("limit-one-more", "D-6.2", _PAGES, page_size=lambda limit: limit + 1),
    tuned("limit-at-most-50", "D-6.2", "more than 50 jobs", page_size=lambda limit: min(limit, 50)),
    tuned("limit-at-least-10", "D-6.2", _PAGES, page_size=lambda limit: max(limit, 10)),
    field_rule("limit-100-refused", "D-6.2", "?.limit", "a list", high=99),
    field_rule("limit-1-refused", "D-6.2", "?.limit", "a list", low=2),
    field_rule("limit-required", "D-6.3", "?.limit", "a list", required=True),
    tuned("limit-default-20", "D-6.3", _MANY, default_limit=20),
    tuned("limit-default-50", "D-6.3", _MANY, default_limit=50),
    hooked(
        "cursor-refused",
        "D-6.4",
        _PAGES,
        call=refused_when(lambda call: call.operation == "list" and "cursor" in call.request.query, "parameter"),
    ),
    tuned("cursor-starts-over", "D-6.4", _PAGES, cursor_shift=-(10**9)),
    tuned("cursor-repeats-one", "D-6.4", _PAGES, cursor_shift=-1),
    tuned("cursor-skips-one", "D-6.4", _PAGES, cursor_shift=1),
    tuned("cursor-forgets-filter", "D-6.4", "more than one page of a filtered list", cursor_keeps_filter=False),
    _page("next-cursor-as-page-number", "D-6.4", _PAGES, _cursor(lambda cursor: 2 if cursor else None)),
    _page("next-cursor-missing", "D-6.4", _PAGES, lambda page, _call: {"jobs": page["jobs"]}),
    _page("next-cursor-null-too-early", "D-6.5", _PAGES, _cursor(lambda _cursor: None)),
    _page("next-cursor-empty-at-end", "D-6.5", _LIST, _cursor(lambda cursor: cursor or "")),
    tuned("next-cursor-never-null", "D-6.5", _LIST, always_more=True),
    _page("list-as-bare-array", "D-1.8", _LIST, lambda page, _call: page["jobs"]),
    _page(
        "list-of-ids", "D-1.8", _LIST, lambda page, _call: {**page, "jobs": [job.get("jobId") for job in page["jobs"]]}
    ),
    _page("list-repeats-last", "D-1.8", _LIST, _with_repeat),
    _page("list-without-newest", "D-1.8", _LIST, _without_newest),
    tuned("type-filter-ignored", "D-6.6", _TYPES, filter_of_type=lambda _wanted, _job_type, _shown: True),
    tuned("type-filter-finds-nothing", "D-6.6", _LIST, filter_of_type=lambda _wanted, _job_type, _shown: False),
    tuned("type-filter-by-domain", "D-6.6", "jobs of two types of a domain", filter_of_type=_domain),
)
