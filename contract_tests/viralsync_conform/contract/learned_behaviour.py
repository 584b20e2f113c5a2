"""What a run learns of the switches of the behaviour profile, and what it cannot see."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from viralsync_conform.calls import Exchange
from viralsync_mock.config.behaviour import SWITCHES, BehaviourProfile, parse_behaviour, to_document
from viralsync_mock.errors import BehaviourError


@dataclass(frozen=True, slots=True)
class Observation:
    """The position in which a switch was seen, and the calls that show it."""

    value: Any
    calls: tuple[int, ...]


@dataclass(slots=True)
class LearnedBehaviour:
    """The positions of the switches as the target shows them.

    A switch that was seen in two positions is in `torn`; one that was looked for in vain is in `hidden`, with the
    reason; a value that the switch does not have is in `foreign`.
    """

    seen: dict[str, Observation] = field(default_factory=dict)
    contradictions: dict[str, tuple[Observation, ...]] = field(default_factory=dict)
    hidden: dict[str, str] = field(default_factory=dict)
    foreign: dict[str, Observation] = field(default_factory=dict)

    def learn(self, switch: str, value: object, *calls: Exchange) -> None:
        """Note the position of a switch: a key of the profile, or `errors.<name>`."""
        if not switch.startswith("errors.") and switch not in SWITCHES:
            return  # this mock cannot be made to act so
        observation = Observation(value, tuple(call.number for call in calls))
        if not _is_position(switch, value):
            self.foreign.setdefault(switch, observation)
            return
        self.hidden.pop(switch, None)
        known = self.seen.setdefault(switch, observation)
        if known.value != value:
            others = self.contradictions.get(switch, (known,))
            if all(each.value != value for each in others):
                self.contradictions[switch] = (*others, observation)

    def mark_unobservable(self, switch: str, reason: str) -> None:
        """Note why a switch could not be seen, unless it was, or a better reason is known."""
        if switch not in self.seen:
            self.hidden.setdefault(switch, reason)

    def applied_to(self, believed: BehaviourProfile) -> BehaviourProfile:
        """Return the profile that was believed, corrected by what was learned."""
        if not self.differences(believed):
            return believed
        return parse_behaviour(self._document(), _codes(self.seen), believed)

    def differences(self, believed: BehaviourProfile) -> dict[str, tuple[Any, Any]]:
        """Return every switch that was seen in another position than believed: (believed, seen)."""
        found = {}
        for switch, observation in self.seen.items():
            position = position_of(believed, switch)
            if position != observation.value:
                found[switch] = (position, observation.value)
        return found

    def _document(self) -> dict[str, dict[str, Any]]:
        document: dict[str, dict[str, Any]] = {}
        for switch, observation in self.seen.items():
            section, _, name = switch.partition(".")
            if section == "errors" and observation.value == name.upper():
                continue  # that is its name
            document.setdefault(section, {})[name] = observation.value
        return document


def position_of(behaviour: BehaviourProfile, switch: str) -> Any:
    """Return the position of a switch in a profile."""
    section, _, name = switch.partition(".")
    if section == "errors":
        return behaviour.code(name.upper())
    return to_document(behaviour)[section][name]


def all_switches() -> tuple[str, ...]:
    """Return every switch but those of error codes."""
    return tuple(SWITCHES)


def _codes(seen: Mapping[str, Observation]) -> list[str]:
    return [switch.partition(".")[2].upper() for switch in seen if switch.startswith("errors.")]


def _is_position(switch: str, value: object) -> bool:
    """Say whether the switch has such a position."""
    section, _, name = switch.partition(".")
    try:
        parse_behaviour({section: {name: value}}, [name.upper()])
    except BehaviourError:
        return False
    return True
