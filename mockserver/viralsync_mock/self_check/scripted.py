"""What rules say beside faults: what they should do to a client, and the probes that show it."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from viralsync_mock.jobs.models import TERMINAL, Status
from viralsync_mock.self_check.expectations import Expectation
from viralsync_mock.self_check.probes import LONG, json_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from viralsync_mock.self_check.clients import ClientObservation
    from viralsync_mock.self_check.probes import ClientSession

STALLED = 200.0
"""Seconds after which the usual job has ended, and the stalled one stands."""

PAGE = "<html><h1>Bad Gateway \N{EM DASH} é</h1></html>"
STATUSES = (502, 418, 299)


class Lives(NamedTuple):
    """Two jobs, one after the other: each as it was read after `STALLED` seconds, later, and in the end."""

    first: tuple[ClientObservation, ...]
    second: tuple[ClientObservation, ...]


def under_rules(session: ClientSession) -> Lives:
    """Submit two jobs under a scenario with the rule, if there is one."""
    rules = list(session.fault.values())
    session.control("PUT", "/__mock/scenario", {"rules": rules})
    return _lives(session)


def under_armed(session: ClientSession) -> Lives:
    for each in session.fault.values():
        session.control("POST", "/__mock/faults", each)
    return _lives(session)


def _lives(session: ClientSession) -> Lives:
    return Lives(_life(session), _life(session))


def _life(session: ClientSession) -> tuple[ClientObservation, ...]:
    job = json_of(session.send("submitRenderJob", body=session.submission()))["jobId"]
    seen = []
    for seconds in (STALLED, 1.0, 2 * LONG):
        session.advance(seconds=seconds)
        seen.append(session.send("getJob", job))
    return tuple(seen)


def answers(session: ClientSession) -> tuple[ClientObservation, ...]:
    """Call getMe once for each status that the rules respond with."""
    rules = [
        {"match": {"operation": "getMe", "nth": number}, **rule, "respond": {**rule["respond"], "status": status}}
        for number, status in enumerate(STATUSES, 1)
        for rule in session.fault.values()
        if isinstance(rule, dict)
    ]
    session.control("PUT", "/__mock/scenario", {"rules": rules})
    return tuple(session.send("getMe") for _ in STATUSES)


def respond(seen: tuple[ClientObservation, ...]) -> bool:
    shown = [(each.status, each.media_type, each.body, each.problem) for each in seen]
    return shown == [(status, "text/html", PAGE.encode(), "") for status in STATUSES]


def stall(lives: Lives) -> bool:
    first, second = ([json_of(each) for each in life] for life in lives)
    stood = first[0]["progress"] == first[1]["progress"] and first[1]["status"] not in TERMINAL
    return stood and 0.8 <= first[0]["progress"] < 1 and {first[2]["status"], second[0]["status"]} == {Status.DONE}


def job_fails(lives: Lives) -> bool:
    first, second = (json_of(life[-1]) for life in lives)
    return (first["status"], second["status"]) == (Status.FAILED, Status.DONE)


_FIRST = {"match": {"operation": "submitRenderJob", "nth": 1}}
_FAILS = {"fail": {"scene": 2, "at": "40%"}}

SCRIPTED: Mapping[str, Expectation] = MappingProxyType(
    {
        "stall": Expectation(
            "The first job stands at 80 % or a little more, and is done in the end; the second is done at once.",
            {**_FIRST, "job": {"stall": {"at": "80%", "for": "5m"}}},
            under_rules,
            stall,
        ),
        "respond": Expectation(
            "The same page as text/html with the statuses 502, 418 and 299.",
            {"respond": {"content_type": "text/html", "body": PAGE}},
            answers,
            respond,
        ),
        "job_by_rule": Expectation(
            "The first job fails, and the second is done.", {**_FIRST, "job": _FAILS}, under_rules, job_fails
        ),
        "job_armed": Expectation(
            "The next job fails, as the control API was asked, and the one after it is done.",
            {"job": _FAILS, "times": 1},
            under_armed,
            job_fails,
        ),
    }
)
"""By name; each value is the rule, or the body of `POST /__mock/faults`."""
