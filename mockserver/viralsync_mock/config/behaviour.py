"""The behaviour profile: one switch for everything that the API's documentation leaves open.

The defaults are the readings of docs/assumptions.md, the stricter one each time. A profile is a YAML file of nested
keys, so `sse.resume` is written as

    sse:
      resume: snapshot
"""

from __future__ import annotations

from dataclasses import Field, dataclass, field, fields, replace
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NoReturn

from viralsync_mock.config.yaml_source import json_path, preview, read_yaml
from viralsync_mock.errors import BehaviourError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping
    from pathlib import Path

    from viralsync_mock.config.yaml_source import Node, Trail

    _Fail = Callable[[Trail, str], NoReturn]

MAX_SECONDS = 86_400
"""No switch waits longer than a day."""

MAX_ATTEMPTS = 100


def _switch(key: str, default: object, *, one_of: tuple[object, ...] = (), **rule: Any) -> Any:
    return field(default=default, metadata={"key": key, "one_of": one_of, **rule})


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_word(value: object) -> bool:
    return isinstance(value, str) and value.isascii() and value.isidentifier()


def _is_seconds(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value <= MAX_SECONDS


def _is_milliseconds(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_SECONDS * 1000


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value <= MAX_ATTEMPTS


def _word(key: str, default: str) -> Any:
    return _switch(key, default, fits=_is_word, wants="a word")


def _count(key: str, default: int) -> Any:
    return _switch(key, default, fits=_is_count, wants=f"a whole number from 1 to {MAX_ATTEMPTS}")


def _seconds(key: str, default: float, *, or_null: bool = False) -> Any:
    fits: Callable[[object], bool] = (lambda v: v is None or _is_seconds(v)) if or_null else _is_seconds
    wants = f"a number of seconds above 0, at most {MAX_SECONDS}" + ", or null" * or_null
    return _switch(key, default, fits=fits, wants=wants)


@dataclass(frozen=True, slots=True)
class BehaviourProfile:
    """Every switch with its default; docs/assumptions.md tells what each position means."""

    job_type: str = _switch("job.type", "render", one_of=("render", "render.movie"))
    job_executing_status: str = _switch("job.executing_status", "waiting", one_of=("waiting", "running"))
    job_assembling_status: str = _switch("job.assembling_status", "running", one_of=("running", "waiting"))
    job_children_counted: str = _switch("job.children_counted", "scenes", one_of=("scenes", "scenes+assemble"))
    list_key: str = _word("list.key", "jobs")
    list_includes_children: bool = _switch("list.includes_children", False, one_of=(False, True))
    sse_event_names: str = _switch("sse.event_names", "unnamed", one_of=("unnamed", "by_kind"))
    sse_payload: str = _switch("sse.payload", "webhook", one_of=("webhook", "job"))
    sse_resume: str = _switch("sse.resume", "replay", one_of=("replay", "snapshot"))
    sse_keep_alive_seconds: float | None = _seconds("sse.keep_alive_seconds", 15, or_null=True)
    sse_after_end: str = _switch("sse.after_end", "empty_stream", one_of=("empty_stream", "no_content"))
    sse_retry_milliseconds: int | None = _switch(
        "sse.retry_milliseconds",
        None,
        fits=lambda v: v is None or _is_milliseconds(v),
        wants=f"a whole number of milliseconds from 0 to {MAX_SECONDS * 1000}, or null",
    )
    cancel_response: str = _switch("cancel.response", "job", one_of=("job", "empty"))
    delete_response: str = _switch("delete.response", "body", one_of=("body", "empty"))
    quota_check: str = _switch("quota.check", "used", one_of=("used", "forecast"))
    plan_limit_status: int = _switch("plan_limit.status", 402, one_of=(402, 403))
    free_plan_rest: str = _switch("free_plan.rest", "forbidden", one_of=("forbidden", "allowed"))
    concurrency_counts: str = _switch(
        "concurrency.counts", "unfinished", one_of=("unfinished", "running+waiting", "running")
    )
    content_type_required: bool = _switch("content_type.required", True, one_of=(True, False))
    webhook_signature: str = _switch("webhook.signature", "hex", one_of=("hex", "sha256=hex", "base64"))
    webhook_attempts: int = _switch(
        "webhook.attempts", 3, fits=_is_count, wants=f"a whole number from 1 to {MAX_ATTEMPTS}"
    )
    webhook_retry_seconds: float = _seconds("webhook.retry_seconds", 10)
    webhook_timeout_seconds: float = _seconds("webhook.timeout_seconds", 10)
    webhook_redirects: str = _switch("webhook.redirects", "refused", one_of=("refused", "followed"))
    webhook_progress_interval_seconds: float = _seconds("webhook.progress_interval_seconds", 5)
    webhook_executing_status: str = _switch("webhook.executing_status", "waiting", one_of=("waiting", "running"))
    errors: Mapping[str, str] = field(default_factory=dict)
    """Code names that differ from the spec's, by the spec's in lower case: `errors.job_not_found: NO_SUCH_JOB`."""

    def code(self, name: str) -> str:
        """Return the error code that the API uses where the spec says `name`."""
        return self.errors.get(name.lower(), name) if self.errors else name


SWITCHES: Mapping[str, Field[Any]] = MappingProxyType(
    {f.metadata["key"]: f for f in fields(BehaviourProfile) if "key" in f.metadata}
)
"""The dataclass field behind every key but `errors.<name>`."""

_SECTIONS = tuple(dict.fromkeys([*(key.split(".")[0] for key in SWITCHES), "errors"]))


def load_behaviour(path: Path, codes: Collection[str]) -> BehaviourProfile:
    """Read a profile from a YAML file; `codes` are the spec's error codes, which `errors.<name>` may rename.

    Raises BehaviourError that names file, line and place, what was expected and the nearest valid word.
    """
    return read_behaviour(read_yaml(path, BehaviourError), codes)


def read_behaviour(place: Node, codes: Collection[str], base: BehaviourProfile | None = None) -> BehaviourProfile:
    """Read a profile that is part of a file; raises the error class of that file."""

    def fail(trail: Trail, message: str) -> NoReturn:
        place.source.fail((*place.path, *trail), message)

    return _profile(place.value, codes, base, fail)


def parse_behaviour(document: object, codes: Collection[str], base: BehaviourProfile | None = None) -> BehaviourProfile:
    """Turn nested keys into a profile, starting from `base`; raises BehaviourError that names the place."""

    def fail(trail: Trail, message: str) -> NoReturn:
        raise BehaviourError(f"{json_path(trail)}: {message}")

    return _profile(document, codes, base, fail)


def _profile(document: object, codes: Collection[str], base: BehaviourProfile | None, fail: _Fail) -> BehaviourProfile:
    names = {code.lower() for code in codes}
    values: dict[str, Any] = {}
    errors: dict[str, str] = {}
    for section, name, value in _switches(document, fail):
        if section == "errors":
            errors[name] = _renamed(name, value, names, fail)
        else:
            switch = _known(section, name, fail)
            values[switch.name] = _applicable(switch, value, partial(fail, (section, name)))
    start = base or BehaviourProfile()
    return replace(start, **values, errors=MappingProxyType({**start.errors, **errors}))


def _switches(document: object, fail: _Fail) -> Iterator[tuple[str, str, object]]:
    """Yield section, name and value of every switch that is given."""
    if not isinstance(document, dict):
        fail((), f"expected an object of switches, got {preview(document)}")
    for section, switches in document.items():
        if section in SWITCHES:
            fail((section,), f"write it nested: {{{section.replace('.', ': {')}: …}}}}")
        if section not in _SECTIONS:
            fail((str(section),), f"no such section.{_hint(section, _SECTIONS)}")
        if not isinstance(switches, dict):
            fail((section,), f"expected an object of switches, got {preview(switches)}")
        for name, value in switches.items():
            yield section, str(name), value


def _renamed(name: str, value: object, names: Collection[str], fail: _Fail) -> str:
    if name not in names:
        fail(("errors", name), f"no such error code in the spec.{_hint(name, names)}")
    if not isinstance(value, str) or not _is_word(value):
        fail(("errors", name), f"expected a code name, got {preview(value)}")
    return value


def _known(section: str, name: str, fail: _Fail) -> Field[Any]:
    switch = SWITCHES.get(f"{section}.{name}")
    if switch is None:
        names = [key.partition(".")[2] for key in SWITCHES if key.startswith(f"{section}.")]
        fail((section, name), f"no such switch.{_hint(name, names)}")
    return switch


def _applicable(switch: Field[Any], value: object, fail: Callable[[str], NoReturn]) -> object:
    rule = switch.metadata
    if "fits" in rule:
        if not rule["fits"](value):
            fail(f"expected {rule['wants']}, got {preview(value)}")
    elif not any(value == option and type(value) is type(option) for option in rule["one_of"]):
        near = did_you_mean(value, filter(_is_text, rule["one_of"]))
        fail(f"expected {' or '.join(map(preview, rule['one_of']))}, got {preview(value)}.{near}")
    return value


def _hint(word: object, options: Collection[str]) -> str:
    return did_you_mean(word, options) or f" Known: {', '.join(sorted(options))}"


def to_document(behaviour: BehaviourProfile) -> dict[str, dict[str, object]]:
    """Return the nested keys of a profile: what `parse_behaviour` reads back."""
    document: dict[str, dict[str, object]] = {}
    for key, switch in SWITCHES.items():
        section, name = key.split(".")
        document.setdefault(section, {})[name] = getattr(behaviour, switch.name)
    if behaviour.errors:
        document["errors"] = dict(behaviour.errors)
    return document
