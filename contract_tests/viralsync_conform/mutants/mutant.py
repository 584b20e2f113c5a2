"""What a mutant is: the mock with exactly one deliberate deviation, and a sentence that says which."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from viralsync_conform.mutants.engine.asgi import Answer
    from viralsync_conform.mutants.engine.exchange import MutantCall
    from viralsync_conform.mutants.engine.webhook_attempts import WebhookAttempt
    from viralsync_mock.webhooks.sender import Reply

BEHAVIOUR, MECHANICAL, READING = "behaviour", "mechanical", "reading"
KIT, INDEPENDENT = "kit", "independent"

F = TypeVar("F", bound="Callable[..., Any]")


@dataclass(frozen=True)
class Mutant:
    """A server that is wrong in one way. `subject` is the operation, or the theme, that it is wrong in.

    It deviates in its responses (`layer`), its webhooks (`sending`), its behaviour profile (`behaviour`) or its spec
    (`edit_spec`, which changes it in place). The origin `INDEPENDENT` means that it was written without looking at the
    checks or the other mutants. One that `is_permitted` breaks nothing that a page states: a counter-mutant, which must
    never be called broken. Of the source `READING` are those that exist for that alone; `in_real_time` they are
    met without the control API, whose clock leaves nothing to wait for.
    """

    name: str
    statement: str
    source: str
    subject: str
    origin: str = KIT
    is_permitted: bool = False
    in_real_time: bool = False
    layer: Callable[[MutantCall], Awaitable[Answer]] | None = field(default=None, repr=False, compare=False)
    sending: Callable[[WebhookAttempt], Awaitable[Reply]] | None = field(default=None, repr=False, compare=False)
    edit_spec: Callable[[dict[str, Any]], None] | None = field(default=None, repr=False, compare=False)
    behaviour: Mapping[str, Any] | None = field(default=None, repr=False, compare=False)


class Section:
    """The hand-written mutants of one subject, in the order in which they are written down.

    Called, it makes a mutant of the function below: of a layer, or of what `make` turns into one. Mutants that are
    written with `blind` were written without looking at the checks.
    """

    def __init__(self, subject: str, part: str = "layer", **common: Any) -> None:
        self.subject, self.part, self.common = subject, part, common
        self.mutants: list[Mutant] = []

    @property
    def blind(self) -> Section:
        other = Section(self.subject, self.part, **self.common, origin=INDEPENDENT)
        other.mutants = self.mutants
        return other

    def add(self, name: str, statement: str, part: Any, **changes: Any) -> None:
        values = {"source": BEHAVIOUR, **self.common, self.part: part, **changes}
        self.mutants.append(Mutant(name, statement, subject=self.subject, **values))

    def __call__(
        self, name: str, statement: str, make: Callable[..., Any] | None = None, *args: Any, **options: Any
    ) -> Callable[[F], F]:
        def decorate(function: F) -> F:
            changes = {each: options.pop(each) for each in ("in_real_time",) if each in options}
            self.add(name, statement, make(function, *args, **options) if make else function, **changes)
            return function

        return decorate
