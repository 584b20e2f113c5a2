"""The verdict on the code under test (text, JUnit XML, JSON), and its coverage of the API."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Literal, NamedTuple, cast
from xml.etree import ElementTree as Xml

from viralsync_mock.client.records import Call, Delivery
from viralsync_mock.errors import ControlError, UsageError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Unpack

    from viralsync_mock.client.connection import ControlConnection
    from viralsync_mock.client.literals import Outcome, Rule, Waivers

FAILED, PASSED, WAIVED, INCONCLUSIVE = "failed", "passed", "waived", "inconclusive"

_NOT_XML = re.compile(r"[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True)
class RuleVerdict:
    """How one rule was kept: `outcome` is `passed`, `failed`, `not_applicable`, `inconclusive` or `waived`.

    `evidence` are ids of calls and webhooks; of a failed rule `shown` holds a line for each of the first of them.
    """

    rule: Rule
    outcome: Outcome
    reason: str
    evidence: tuple[str, ...] = ()
    shown: tuple[str, ...] = ()

    def __str__(self) -> str:
        return "\n".join((f"{self.rule}: {self.outcome}: {self.reason}", *(f"    {line}" for line in self.shown)))


@dataclass(frozen=True)
class Verdict:
    """How well the code under test has behaved, rule by rule."""

    rules: tuple[RuleVerdict, ...]

    @property
    def is_good(self) -> bool:
        """Whether no rule failed, but for those that were waived."""
        return not self.failed

    @property
    def failed(self) -> tuple[RuleVerdict, ...]:
        """The rules that failed."""
        return tuple(each for each in self.rules if each.outcome == FAILED)

    @property
    def inconclusive(self) -> tuple[RuleVerdict, ...]:
        """The rules that the journal does not hold enough for."""
        return tuple(each for each in self.rules if each.outcome == INCONCLUSIVE)

    def __getitem__(self, rule: Rule) -> RuleVerdict:
        by_name = {each.rule: each for each in self.rules}
        if rule not in by_name:
            near = did_you_mean(rule, by_name) or f" Rules: {', '.join(by_name)}"
            raise KeyError(f'there is no rule "{rule}".{near}')
        return by_name[rule]

    def text(self) -> str:
        """Return a line for the whole, and one or more for each rule, the failed ones first."""
        rest = [each for each in self.rules if each.outcome != FAILED]
        head = "The client is well behaved." if self.is_good else "The client is not well behaved."
        return "\n".join([head, *(f"  {line}" for each in (*self.failed, *rest) for line in str(each).splitlines())])

    def json(self) -> str:
        """Return the same as JSON."""
        verdict = "well behaved" if self.is_good else "not well behaved"
        return json.dumps({"verdict": verdict, "rules": [asdict(each) for each in self.rules]}, indent=2)

    def junit(self) -> str:
        """Return JUnit XML: a test case for each rule, skipped where it was neither passed nor failed."""
        skipped = sum(each.outcome not in (FAILED, PASSED) for each in self.rules)
        counts = {"tests": len(self.rules), "failures": len(self.failed), "errors": 0, "skipped": skipped}
        numbers = {name: str(count) for name, count in counts.items()}
        suites = Xml.Element("testsuites", numbers)
        suite = Xml.SubElement(suites, "testsuite", {"name": "verdict on the client", **numbers})
        for each in self.rules:
            case = Xml.SubElement(suite, "testcase", {"classname": "viralsync.verdict", "name": each.rule, "time": "0"})
            if each.outcome != PASSED:
                kind, message = "failure" if each.outcome == FAILED else "skipped", f"{each.outcome}: {each.reason}"
                found = Xml.SubElement(case, kind, {"message": _NOT_XML.sub("?", message)})
                found.text = _NOT_XML.sub("?", "\n".join(each.shown)) or None
        return Xml.tostring(suites, encoding="unicode", xml_declaration=True)

    def __repr__(self) -> str:
        return f"<verdict: {len(self.failed)} of {len(self.rules)} rules failed>"


MAX_SHOWN = 5
"""Calls shown of a failed rule."""


class VerdictMixin:
    """The part of a sandbox about the verdict."""

    _connection: ControlConnection

    def verdict(
        self,
        waived: Mapping[Rule, str] | None = None,
        *,
        poll_seconds: float | None = None,
        sleeps: Literal["clock", "real"] | None = None,
        client_ended: bool = False,
    ) -> Verdict:
        """Return the verdict; `waived` gives for each rule that may fail the reason why.

        Ask when the code under test has finished. `sleeps="real"` is for a client that sleeps in real time while a
        scaled clock runs faster; `client_ended` says that its process is over. Raises ControlError for an unknown rule.
        """
        reasons: dict[Rule, str] = dict(waived or {})
        query = {"waived": ",".join(reasons) or None, "pollSeconds": poll_seconds, "sleeps": sleeps}
        answer = self._connection.request("GET", "/verdict", **query, clientEnded="true" if client_ended else None)
        rules = [
            RuleVerdict(each["rule"], each["outcome"], each["reason"], tuple(each["evidence"]))
            for each in answer["rules"]
        ]
        return Verdict(tuple(self._with_details(each, reasons) for each in rules))

    def assert_well_behaved(
        self,
        *,
        inconclusive: Literal["pass", "fail"] = "pass",
        poll_seconds: float | None = None,
        **waived: Unpack[Waivers],
    ) -> Verdict:
        """Fail when a rule failed, and show the calls: `assert_well_behaved(stops_at_terminal="a demo")`.

        `inconclusive="fail"` fails for rules that could not be decided, too. Rules that may fail are named with `_` for
        `-`, each with the reason why.
        """
        __tracebackhide__ = True
        if inconclusive not in ("pass", "fail"):
            raise UsageError(f'inconclusive: expected "pass" or "fail", got {inconclusive!r}.')
        reasons = {cast("Rule", name.replace("_", "-")): str(why) for name, why in waived.items()}
        verdict = self.verdict(reasons, poll_seconds=poll_seconds)
        undecided = [each for each in verdict.inconclusive if inconclusive == "fail" and each.rule not in reasons]
        if verdict.failed or undecided:
            counts = [_counted(len(verdict.failed), "failed"), _counted(len(undecided), "inconclusive")]
            head = f"the client is not well behaved, {' and '.join(filter(None, counts))}:"
            raise AssertionError("\n".join([head, *map(str, (*verdict.failed, *undecided))]))
        return verdict

    def assert_rule(self, rule: Rule, *, poll_seconds: float | None = None) -> RuleVerdict:
        """Fail unless a rule passed: the situation occurred, and the client handled it right each time.

        Raises KeyError for an unknown rule.
        """
        __tracebackhide__ = True
        found = self.verdict(poll_seconds=poll_seconds)[cast("Rule", rule.replace("_", "-"))]
        if found.outcome != PASSED:
            raise AssertionError(f"expected {found.rule} to have passed, got {found.outcome}:\n{found}")
        return found

    def _with_details(self, rule: RuleVerdict, reasons: Mapping[Rule, str]) -> RuleVerdict:
        """Add the reason of the waiver, or the calls that show how a rule failed."""
        if rule.outcome == WAIVED:
            return replace(rule, reason=f"{reasons[rule.rule]} ({rule.reason})")
        if rule.outcome != FAILED:
            return rule
        shown = [self._line(each) for each in rule.evidence[:MAX_SHOWN]]
        more = len(rule.evidence) - len(shown)
        return replace(rule, shown=(*shown, *([f"and {more} more"] if more else [])))

    def _line(self, name: str) -> str:
        """Return one line about a call or a webhook: its id alone once the journal has dropped it."""
        try:
            if name.startswith("delivery_"):
                return repr(Delivery.of(self._connection.request("GET", f"/deliveries/{name}")))
            return repr(Call.of(self._connection.request("GET", f"/journal/{name}")))
        except ControlError:
            return name


def _counted(count: int, outcome: str) -> str:
    return f"{count} rule{'' if count == 1 else 's'} {outcome}" if count else ""


class Coverage(NamedTuple):
    """Facts about the API (`operation getJob 200`) that the client met and did not meet; 0 to 100 percent."""

    met: tuple[str, ...]
    unmet: tuple[str, ...]
    percent: float
