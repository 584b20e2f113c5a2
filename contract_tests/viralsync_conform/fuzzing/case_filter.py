"""Which made-up calls are sent: not those that no client could know how to make, nor those that are not ours to make.

Nothing here is a list of excuses. What a link of the spec hands out cannot be made up; what `x-unique-by` forbids is
not valid, though JSON Schema cannot say so; and guard and budget hold as for every other call.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from viralsync_conform.budget import worst_case
from viralsync_conform.contract.schemas import CREATES, ExpectedSpec
from viralsync_conform.ownership_guard import ForeignIdError
from viralsync_conform.run.journey_context import JourneyContext
from viralsync_conform.run.submissions import submission

if TYPE_CHECKING:
    from schemathesis import Case

FIELD = "$response.body#/"


class CaseFilter:
    """Looks at every case before it is sent; `handed_out` are the values that answers gave, by field."""

    def __init__(self, context: JourneyContext, handed_out: Mapping[str, set[str]]) -> None:
        self._context, self._handed_out = context, handed_out
        self._sources = _sources(context.run.contract)

    def adapt(self, case: Case[Any]) -> Case[Any]:
        """Return a case without optional parameters that only an answer can give, unless it is about them.

        On the account under test what is submitted carries the mark of the run; and on a walk, where all that matters
        is that a job is made, it is as short as those of the journeys.
        """
        if (
            self._context.account.is_main
            and self._context.run.contract.effect(_operation(case)) == CREATES
            and not _is_negative(case)
        ):
            self._mark(case)
        for (operation, name), source in self._sources.items():
            value = (case.query or {}).get(name)
            if operation != _operation(case) or value is None or _subject(case) == name:
                continue
            if not (isinstance(value, str) and value in self._handed_out.get(source, ())):
                case.query = {key: each for key, each in case.query.items() if key != name}
        return case

    def _mark(self, case: Case[Any]) -> None:
        project_id = self._context.run.project_id
        if case.meta is not None and case.meta.phase.name.value == "stateful":
            case.body = submission(project_id)
        elif isinstance(case.body, dict):
            case.body = {**case.body, "projectId": project_id}

    def is_allowed(self, case: Case[Any]) -> bool:
        """Say whether a case may be sent; it is fitted first, since that makes some affordable."""
        case = self.adapt(case)
        operation = self._context.run.contract.operations[_operation(case)]
        if not _is_negative(case) and _is_doubled(self._context.run.contract, operation.body_schema, case.body):
            return False
        return not self._context.account.is_main or (self._is_own(case) and self._is_affordable(case))

    def _is_own(self, case: Case[Any]) -> bool:
        run = self._context.run
        operations = run.contract.operations
        plain = [each.path for each in operations.values() if "{" not in each.path]
        has_body = isinstance(case.body, dict | list | str | bytes | int | float) and bool(case.body)
        try:
            run.guard.check(case.method, case.formatted_path, run.contract.submit.path, has_body=has_body, plain=plain)
        except ForeignIdError:
            return False
        return True

    def _is_affordable(self, case: Case[Any]) -> bool:
        return self._context.run.budget.can_afford(worst_case(case.body))


def _operation(case: Case[Any]) -> str:
    return str(case.operation.definition.raw["operationId"])


def _is_negative(case: Case[Any]) -> bool:
    return case.meta is not None and case.meta.generation.mode.is_negative


def _subject(case: Case[Any]) -> str:
    """Return the parameter that a violation is about; a valid case is about none."""
    return str(getattr(case.meta.phase.data, "parameter", "")) if case.meta is not None and _is_negative(case) else ""


def _sources(contract: ExpectedSpec) -> dict[tuple[str, str], str]:
    """Return the fields of answers that links take optional parameters of the query from, by operation and name."""
    found = {}
    for operation in contract.operations:
        for answer in contract.responses(operation).values():
            for link in answer.get("links", {}).values():
                for name, source in link.get("parameters", {}).items():
                    if str(source).startswith(FIELD):
                        found[str(link["operationId"]), str(name)] = str(source).removeprefix(FIELD)
    return found


def _is_doubled(contract: ExpectedSpec, schema: Any, value: object) -> bool:
    """Say whether two items of a list have the same value where the spec's `x-unique-by` wants others."""
    schema = contract.follow(schema)
    if not isinstance(schema, Mapping):
        return False
    if isinstance(value, list):
        name = schema.get("x-unique-by")
        keys = [repr(item.get(name)) for item in value if isinstance(item, Mapping)] if name else []
        return len(set(keys)) < len(keys) or any(_is_doubled(contract, schema.get("items"), item) for item in value)
    if isinstance(value, Mapping):
        parts = schema.get("properties", {}).items()
        return any(_is_doubled(contract, part, value[name]) for name, part in parts if name in value)
    return False
