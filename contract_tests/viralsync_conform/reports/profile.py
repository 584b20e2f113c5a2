"""`learned-behaviour.yaml`: the behaviour profile of the target, with what each switch rests on."""

from __future__ import annotations

from collections.abc import Iterator

from viralsync_conform.contract.learned_behaviour import position_of
from viralsync_conform.reports.wording import calls_in_words, position, scalar
from viralsync_conform.result import Result
from viralsync_mock.artefacts.writing import one_line
from viralsync_mock.config.behaviour import to_document


def profile_of(result: Result) -> str:
    """Return the text of the file, which `serve --behaviour` loads."""
    return "\n".join((*_lines(result), ""))


def _lines(result: Result) -> Iterator[str]:
    yield f"# How {one_line(result.target)} acts where the documentation leaves it open, learned on"
    yield f"# {result.started_at:%Y-%m-%d}. Serve it: viralsync-mock serve --behaviour learned-behaviour.yaml"
    for section, switches in to_document(result.learned_profile).items():
        if section != "errors":
            yield ""
            yield f"{section}:"
            for name, value in switches.items():
                yield f"  # {_basis(result, f'{section}.{name}')}"
                yield f"  {name}: {scalar(value)}"
    yield ""
    yield from _error_lines(result)


def _error_lines(result: Result) -> Iterator[str]:
    """Yield the codes that are named otherwise; those that were seen as the spec has them are named in comments."""
    renamed = result.learned_profile.errors
    same = [switch for switch in _error_switches(result) if switch.partition(".")[2] not in renamed]
    for switch in same:
        yield f"# {switch}: {_basis(result, switch)}"
    if not renamed:
        yield "errors: {}"
        return
    yield "errors:"
    for name, code in renamed.items():
        yield f"  # {_basis(result, f'errors.{name}')}"
        yield f"  {name}: {scalar(code)}"


def _error_switches(result: Result) -> list[str]:
    learned = result.learned
    known = (*learned.seen, *learned.contradictions, *learned.hidden, *learned.foreign)
    return sorted({switch for switch in known if switch.startswith("errors.")})


def _basis(result: Result, switch: str) -> str:
    """Return what the position of a switch rests on, in one line."""
    return one_line("; ".join(_describe(result, switch)) or "believed only: no call showed it", longest=400)


def _describe(result: Result, switch: str) -> Iterator[str]:
    learned, believed = result.learned, position_of(result.believed, switch)
    if switch in learned.contradictions:
        seen = [f"{position(each.value)} in {calls_in_words(each.calls)}" for each in learned.contradictions[switch]]
        yield f"in several positions: {', '.join(seen)}"
    elif switch in learned.seen:
        observation = learned.seen[switch]
        other = f", was believed to be {position(believed)}" if believed != observation.value else ""
        yield f"seen in {calls_in_words(observation.calls)}{other}"
    if switch in learned.hidden:
        yield f"believed only, not observable, because {learned.hidden[switch]}"
    if switch in learned.foreign:
        odd = learned.foreign[switch]
        yield f"the target showed {position(odd.value)}, which is no position of it ({calls_in_words(odd.calls)})"
