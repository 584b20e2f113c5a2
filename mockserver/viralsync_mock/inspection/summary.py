"""One sentence that says why a call was answered as it was, made from its explanation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from viralsync_mock.journal.entry import ANSWERED, CLIENT_DISCONNECTED, PENDING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


def summary_sentence(of: Mapping[str, Any]) -> str:
    """Return the sentence for people; `of` is the explanation of the call as JSON values."""
    told, named = _describe(of)
    rest = [text for kind, text in _faults(of) if kind not in named]
    return f"{told}; also done to it: {', '.join(rest)}." if rest else f"{told}."


def _describe(of: Mapping[str, Any]) -> tuple[str, frozenset[str]]:
    """Return the main clause, and the kinds of the faults that it names."""
    if of["status"] is None:
        return _unanswered(of), frozenset({of["ending"]})
    head = f"{of['status']} {of['code']}" if of["code"] else f"{of['status']}"
    if text := dict(_faults(of)).get("status"):
        return f"{head} by {text}", frozenset({"status"})
    if of["rule"] and "respond" in of["rule"]["does"]:
        return f"{head}: rule {of['rule']['number']} of scenario {of['scenario']['name']} responds so", frozenset()
    if of["code"]:
        return f"{head}: {_refusal(of)}", frozenset()
    if "events" in of:
        return f"{head}: {_stream(of)}", frozenset({of["ending"]})
    return f"{head}: {_success(of)}", frozenset()


def _unanswered(of: Mapping[str, Any]) -> str:
    if of["ending"] != PENDING:
        return f"No answer was sent: that is the work of {_breaking(of)}"
    held = [text for kind, text in _faults(of) if kind in ("timeout", "latency")]
    return f"No answer yet: {f'it is held back by {held[0]}' if held else 'the call is still being carried out'}"


def _breaking(of: Mapping[str, Any]) -> str:
    ending = str(of["ending"])
    return dict(_faults(of)).get(ending, ending)


def _faults(of: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield each fault's kind, and `fault status=503 of rule 2 of scenario flaky`."""
    for each in of["faults"]:
        source = each["from"]
        if source == "header":
            source = "the header X-Mock-Fault"
        elif source.startswith("rule "):
            source = f"{source} of scenario {of['scenario']['name']}"
        for kind, value in each["fault"].items():
            yield kind, f"fault {kind}={value if isinstance(value, str) else orjson.dumps(value).decode()} of {source}"


def _refusal(of: Mapping[str, Any]) -> str:
    limit = of["rateLimit"]
    if of["code"] == "RATE_LIMITED" and limit:
        return (
            f"{limit['used']} of {limit['requests']} calls of the last {limit['windowSeconds']:g} s were used; "
            f"the next slot frees at {limit['nextFreeAt']}"
        )
    if of["violations"]:
        first, more = of["violations"][0], len(of["violations"]) - 1
        return f"{first['place']}: {first['message'].rstrip('.')}" + (f", and {more} more" if more else "")
    try:
        return str(orjson.loads(of["response"]["body"])["error"]).rstrip(".")
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return "the answer's body does not say why"


def _stream(of: Mapping[str, Any]) -> str:
    count = f"{of['events']} event{'' if of['events'] == 1 else 's'}"
    endings = {
        PENDING: "and is still open",
        ANSWERED: "and came to its end",
        CLIENT_DISCONNECTED: "and its reader left",
    }
    ending = endings.get(of["ending"], f"until it was broken off by {_breaking(of)}")
    return f"the stream of {of['jobId']} told {count}, {ending}"


def _success(of: Mapping[str, Any]) -> str:
    step = of["step"]
    if step is None:
        return f"{of['operation']} was answered as usual" if of["operation"] else "answered as usual"
    what = f"{of['jobId']} is {step['status']}" + (f" in phase {step['phase']}" if step["phase"] else "")
    if of["nextStepAt"]:
        return f"{what}; its next step comes at {of['nextStepAt']}"
    is_over = step["status"] in ("done", "failed", "cancelled")
    return f"{what}, and {'stays so' if is_over else 'no further step comes'}"
