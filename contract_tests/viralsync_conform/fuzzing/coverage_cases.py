"""Calls that Schemathesis makes up from the spec: boundary values and violations of every constraint."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from functools import cache
from itertools import count
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import orjson

from viralsync_conform.contract.schemas import CREATES, DELETES, ENDS
from viralsync_mock.settings import shipped

if TYPE_CHECKING:
    from schemathesis import Case
    from schemathesis.schemas import BaseSchema

BASE = "http://generated.invalid"
SHORTEST = 0.05
"""Seconds of a scene in a made-up body: a server may take less for nothing."""


@dataclass(frozen=True, eq=False)
class GeneratedCase:
    """One made-up call. `is_negative` says that it must be refused; `place` is what it is about, in the spec."""

    case: Case[Any]
    operation: str
    method: str
    path: str
    query: tuple[tuple[str, str], ...]
    headers: Mapping[str, str]
    content: bytes | None
    is_negative: bool
    scenario: str
    place: str
    title: str

    @property
    def subject(self) -> tuple[str, str, str]:
        """What makes two cases try the same thing."""
        return self.operation, self.scenario, self.place


@cache
def _schema() -> BaseSchema:
    import schemathesis

    return schemathesis.openapi.from_path(shipped("openapi.yaml"))


@cache
def all_cases() -> tuple[GeneratedCase, ...]:
    """Return every case of Schemathesis' coverage phase, the same in every run; made when first asked for."""
    return tuple(_all())


def _all() -> Iterator[GeneratedCase]:
    from schemathesis.core.result import Err
    from schemathesis.generation import GenerationMode

    schema = _schema()
    for found in schema.get_all_operations():
        if isinstance(found, Err):
            raise found.err()
        operation = found.ok()
        config = schema.config.generation_for(operation=operation, phase="coverage")
        modes = [GenerationMode.POSITIVE, GenerationMode.NEGATIVE]
        for case in schema.iter_coverage_cases(operation, generation_modes=modes, generation_config=config):
            raw = operation.definition.raw
            made_up = _generated(case, str(raw["operationId"]), str(raw.get("x-effect", {}).get("kind", "")))
            if made_up is not None:
                yield made_up


def _generated(case: Case[Any], operation: str, effect: str) -> GeneratedCase | None:
    """Return a case as a call; None for one that a run does not send: see `_is_left_out`."""
    import requests

    meta = case.meta
    if meta is None:
        return None
    data: Any = meta.phase.data
    scenario, subject = (str(getattr(data, name, "") or "") for name in ("scenario", "parameter"))
    is_negative = meta.generation.mode.is_negative
    if _is_left_out(effect, scenario, is_negative, subject):
        return None
    sent = requests.Request(**_plain(case.as_transport_kwargs(base_url=BASE))).prepare()
    parts = urlsplit(str(sent.url))
    body = sent.body.encode() if isinstance(sent.body, str) else sent.body
    place = str(getattr(data, "location", "") or "") if body else subject
    headers = {name: str(value) for name, value in (sent.headers or {}).items() if name.lower() not in _OF_REQUESTS}
    query = tuple(_query(parts.query, subject))
    if is_negative and _says_nothing(scenario, subject, {name for name, _ in query}):
        return None
    return GeneratedCase(
        case=case,
        operation=operation,
        method=str(sent.method),
        path=parts.path,
        query=query,
        headers=headers,
        content=_with_one_flaw(body, place) if isinstance(body, bytes) else None,
        is_negative=is_negative,
        scenario=scenario,
        place=place,
        title=str(getattr(data, "description", "") or scenario),
    )


def _with_one_flaw(content: bytes, place: str) -> bytes:
    """Return a body without what a server may refuse beside its flaw: empty texts, and durations of nearly nothing."""
    try:
        body = orjson.loads(content)
    except ValueError:
        return content
    path = place.split("/")
    return orjson.dumps(_filled(body, frozenset() if path[-1] == "type" else frozenset(path), count(1)))


def _filled(part: Any, flawed: Set[str], numbers: Iterator[int], name: str = "") -> Any:
    if isinstance(part, dict):
        return {key: _filled(value, flawed, numbers, key) for key, value in part.items()}
    if isinstance(part, list):
        return [_filled(value, flawed, numbers, name) for value in part]
    if name in flawed:
        return part
    if part == "":
        return f"conform-{next(numbers)}"
    return SHORTEST if isinstance(part, float) and 0 < part < SHORTEST else part


def _query(text: str, subject: str) -> Iterator[tuple[str, str]]:
    """Yield the query without the cursor, unless the case is about it: a made-up one belongs to no page."""
    for name, value in parse_qsl(text, keep_blank_values=True):
        if name != "cursor" or subject == "cursor":
            yield name, value


def _says_nothing(scenario: str, subject: str, names: set[str]) -> bool:
    """Say whether Schemathesis takes a case for valid all the same: unknown parameters, and one among valid others."""
    return scenario == "object_unexpected_properties" or (subject in names and len(names) > 1)


_OF_REQUESTS = frozenset(
    {"content-length", "x-api-key", "authorization", "accept-encoding", "connection", "user-agent"}
)


def _plain(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: kwargs[name]
        for name in ("method", "url", "headers", "params", "json", "data", "cookies")
        if name in kwargs
    }


def _is_left_out(effect: str, scenario: str, is_negative: bool, subject: str) -> bool:
    """Keys, methods and deletions have journeys of their own, jobs are submitted by hand, and cursors are opaque."""
    if scenario == "unspecified_http_method" or subject.lower() in {"authorization", "x-api-key"}:
        return True
    if subject == "cursor" and not is_negative:
        return True
    return effect in {ENDS, DELETES} or (effect == CREATES and not is_negative)
