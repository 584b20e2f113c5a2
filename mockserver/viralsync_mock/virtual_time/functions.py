"""The functions of `time`, and `datetime.now`, wherever a module has bound them."""

from __future__ import annotations

import datetime
import sys
import time
from contextlib import contextmanager
from functools import wraps
from inspect import isclass, isfunction, unwrap
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, Any

from viralsync_mock.errors import UsageError
from viralsync_mock.virtual_time.datetimes import asks_for_the_present, stand_ins
from viralsync_mock.virtual_time.keeper import caller

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from viralsync_mock.virtual_time.keeper import TimeKeeper

UNITS: dict[str, Callable[[float], float]] = {
    **dict.fromkeys(("monotonic", "time", "perf_counter"), float),
    **dict.fromkeys(("monotonic_ns", "time_ns", "perf_counter_ns"), lambda seconds: round(seconds * 1e9)),
}
"""The functions of `time` that tell the time, each with its unit."""


def refuse_other_clocks() -> None:
    """Raise UsageError when freezegun or time-machine has replaced the time already."""
    machine = sys.modules.get("time_machine")
    name = "time-machine" if machine and machine.escape_hatch.is_travelling() else None
    if getattr(time, "time").__module__.startswith("freezegun"):  # noqa: B009 - reads no time
        name = "freezegun"
    if name:
        raise UsageError(
            f"{name} is active, which replaces the time too: two clocks would disagree. End it before virtual time "
            "begins, or travel inside it."
        )


def _check_time_is_ours() -> None:
    if getattr(getattr(time, "monotonic"), "__wrapped__", None) is None:  # noqa: B009 - reads no time
        raise UsageError(
            "the time was replaced inside virtual time, as freezegun does: deadlines would never expire. "
            "Use time-machine there, or freezegun without virtual time."
        )


@contextmanager
def time_functions(keeper: TimeKeeper) -> Iterator[None]:
    """Replace `sleep` and everything that tells the time, in `time` and in modules, defaults of arguments included."""
    names = ("sleep", *UNITS)
    replacements = {name: _replacement(keeper, name, getattr(time, name)) for name in names}
    originals = {name: getattr(time, name) for name in names}
    there = {id(originals[name]): replacements[name] for name in names}
    back = {id(replacements[name]): originals[name] for name in names}
    dates = stand_ins(keeper)
    real_dates = {id(dates[id(each)]): each for each in (datetime, datetime.datetime)}
    try:
        _exchange(there, dates, keeper.is_exempt)
        yield
    finally:
        _exchange({**back, **real_dates}, {}, lambda _: False)


def _replacement(keeper: TimeKeeper, name: str, original: Callable[..., Any]) -> Callable[..., Any]:
    if name == "sleep":

        @wraps(original)
        def sleep(seconds: object, /) -> None:
            if isinstance(seconds, (int, float)) and seconds > 0 and keeper.is_virtual(caller()):
                _check_time_is_ours()
                keeper.sleep(seconds)
            else:
                original(seconds)

        return sleep

    @wraps(original)
    def read() -> float:
        present: float = original()
        return present + UNITS[name](keeper.elapsed) if keeper.is_virtual(caller()) else present

    return read


def _exchange(table: Mapping[int, Any], dates: Mapping[int, Any], is_exempt: Callable[[str], bool]) -> None:
    """Replace objects by identity in all modules, `time` itself too; `dates` where the present is asked for."""
    replaced = {*table, *dates}
    modules: list[object] = [*sys.modules.values()]
    for module in modules:
        if not isinstance(module, ModuleType) or is_exempt(module.__name__):
            continue
        namespace = vars(module)
        is_found = not replaced.isdisjoint(map(id, tuple(namespace.values())))
        if is_found:
            known = {**table, **dates} if dates and _asks_for_the_present(module) else table
            namespace.update({name: known[id(value)] for name, value in tuple(namespace.items()) if id(value) in known})
        if is_found or namespace.get("time") is time:
            for function in _functions(module):
                _exchange_defaults(function, table)


def _asks_for_the_present(module: ModuleType) -> bool:
    return asks_for_the_present(module.__name__, (function.__code__ for function in _functions(module)))


def _functions(module: ModuleType) -> Iterator[FunctionType]:
    """Yield the functions that a module defines, those of its classes too, without their decorators."""
    for value in tuple(vars(module).values()):
        if getattr(value, "__module__", None) == module.__name__:
            members: tuple[Any, ...] = tuple(vars(value).values()) if isclass(value) else (value,)
            for member in members:
                function = getattr(member, "__func__", None) or getattr(member, "fget", None) or member
                if isfunction(function):
                    yield function
                    if hasattr(function, "__wrapped__") and isfunction(inner := unwrap(function)):
                        yield inner


def _exchange_defaults(function: FunctionType, table: Mapping[int, Callable[..., Any]]) -> None:
    if function.__defaults__ and any(id(value) in table for value in function.__defaults__):
        function.__defaults__ = tuple(table.get(id(value), value) for value in function.__defaults__)
    keywords: dict[str, Any] = function.__kwdefaults__ or {}
    for name, value in keywords.items():
        keywords[name] = table.get(id(value), value)
