"""What a mutant is: the mock with exactly one deliberate deviation, and a sentence that says which."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from viralsync_conform.mutants.engine.asgi import Answer
    from viralsync_conform.mutants.engine.exchange import MutantCall
    from viralsync_conform.mutants.engine.webhook_attempts import WebhookAttempt
    from viralsync_mock.webhooks.sender import Reply

BEHAVIOUR, MECHANICAL = "behaviour", "mechanical"
KIT, INDEPENDENT = "kit", "independent"


@dataclass(frozen=True)
class Mutant:
    """A server that is wrong in one way. `subject` is the operation, or the theme, that it is wrong in.

    It deviates in its responses (`layer`), its webhooks (`sending`) or its spec (`edit_spec`, which changes it
    in place). The origin `INDEPENDENT` means that it was written without looking at the checks or the other mutants.
    """

    name: str
    statement: str
    source: str
    subject: str
    origin: str = KIT
    layer: Callable[[MutantCall], Awaitable[Answer]] | None = field(default=None, repr=False, compare=False)
    sending: Callable[[WebhookAttempt], Awaitable[Reply]] | None = field(default=None, repr=False, compare=False)
    edit_spec: Callable[[dict[str, Any]], None] | None = field(default=None, repr=False, compare=False)


def independent(*mutants: Mutant) -> tuple[Mutant, ...]:
    """Mark mutants as written without looking at the checks."""
    return tuple(replace(each, origin=INDEPENDENT) for each in mutants)
