"""What a mutant is: the mock with exactly one deliberate deviation, and a sentence that says which."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from viralsync_conform.mutants.engine.asgi import Answer
    from viralsync_conform.mutants.engine.exchange import MutantCall
    from viralsync_conform.mutants.engine.webhook_attempts import WebhookAttempt
    from viralsync_mock.webhooks.sender import Reply

BEHAVIOUR, MECHANICAL = "behaviour", "mechanical"


@dataclass(frozen=True)
class Mutant:
    """A server that is wrong in one way. `subject` is the operation, or the theme, that it is wrong in.

    It deviates where it answers (`layer`), where it sends webhooks (`sending`), or in the spec that it lives by
    (`edit_spec`, which changes the document in place).
    """

    name: str
    statement: str
    source: str
    subject: str
    layer: Callable[[MutantCall], Awaitable[Answer]] | None = field(default=None, repr=False, compare=False)
    sending: Callable[[WebhookAttempt], Awaitable[Reply]] | None = field(default=None, repr=False, compare=False)
    edit_spec: Callable[[dict[str, Any]], None] | None = field(default=None, repr=False, compare=False)
