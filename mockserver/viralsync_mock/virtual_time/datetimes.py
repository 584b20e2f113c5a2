"""`datetime.now()`, which reads the system's time in C: modules that ask for it get a stand-in of the class.

Only these, because a library that compares classes by identity, as pydantic does, would not know the stand-in.
"""

from __future__ import annotations

import datetime as library
from datetime import UTC, datetime, timedelta, tzinfo
from functools import cache
from types import CodeType, ModuleType
from typing import TYPE_CHECKING, Any

from viralsync_mock.virtual_time.keeper import caller

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from viralsync_mock.virtual_time.keeper import TimeKeeper

PRESENT = frozenset({"now", "utcnow", "today"})
HOMES = frozenset({"datetime", "_datetime", "_pydatetime", "_strptime"})


class Kind(type):
    def __instancecheck__(cls, value: object) -> bool:
        return isinstance(value, datetime)

    def __subclasscheck__(cls, other: type) -> bool:
        return issubclass(other, datetime)


class Module(ModuleType):
    def __getattr__(self, name: str) -> Any:
        return getattr(library, name)


def stand_ins(keeper: TimeKeeper) -> dict[int, Any]:
    """Return what stands for the class and for its module, by the identity of these."""

    def present(frame: Any, zone: tzinfo | None) -> datetime:
        now = datetime.now(UTC)  # noqa: TID251 - the system's time, which the clock goes on from
        ahead = timedelta(seconds=keeper.elapsed if keeper.is_virtual(frame) else 0)
        return (now + ahead).astimezone(zone)

    class VirtualDatetime(datetime, metaclass=Kind):
        """Makes real datetimes; only its present is virtual."""

        def __new__(cls, *arguments: Any, **named: Any) -> Any:
            return datetime(*arguments, **named)  # noqa: DTZ001 - the caller says which zone

        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Any:
            found = present(caller(), tz)
            return found if tz else found.replace(tzinfo=None)

        @classmethod
        def today(cls) -> Any:
            return present(caller(), None).replace(tzinfo=None)

        @classmethod
        def utcnow(cls) -> Any:
            return present(caller(), UTC).replace(tzinfo=None)

    module: Any = Module("datetime")
    module.datetime = VirtualDatetime
    return {id(datetime): VirtualDatetime, id(library): module}


def asks_for_the_present(name: str, codes: Iterable[CodeType]) -> bool:
    """Say whether functions with this code, of the module of this name, ask `datetime` for the present."""
    return name not in HOMES and any(map(_asks, codes))


@cache
def _asks(code: CodeType) -> bool:
    return not PRESENT.isdisjoint(code.co_names) or any(map(_asks, _nested(code)))


def _nested(code: CodeType) -> Iterator[CodeType]:
    return (each for each in code.co_consts if isinstance(each, CodeType))
