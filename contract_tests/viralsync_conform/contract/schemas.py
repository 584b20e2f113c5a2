"""The spec as the kit judges by it: in the readings of a behaviour profile, with the mark of every part."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from functools import cached_property
from itertools import chain, islice
from typing import Any, NamedTuple

from jsonschema_rs import Draft202012Validator, ValidationError

from viralsync_conform.findings import Provenance
from viralsync_mock.config.behaviour import BehaviourProfile
from viralsync_mock.openapi.spec import Operation, Spec, load_spec
from viralsync_mock.validation.closed_schema import close_objects

JSON, EVENT_STREAM = "application/json", "text/event-stream"
NO_CONTENT = "204"
CREATES, READS, LISTS, STREAMS, ENDS, DELETES = "creates", "reads", "lists", "streams", "ends", "deletes"
ACCOUNT = "account"
"""What an operation does to jobs, as its `x-effect` says."""


FORM_KEYWORDS = frozenset({"pattern", "format", "minLength", "maxLength"})
"""How a text is written: pages say what a field is, and show its form in samples at most."""

NULLABLE = "null"
MIN_PROPERTY_PATH = 2

MAX_JUDGED = 10_000
"""Values of a body that is not valid of which each is judged."""

SHORTER = (10**6, 1000, 100, 10, 1)
"""Items of each list that are judged: the first number with which there are no more values than that."""
PARAMETERS = re.compile(r"\{(\w+)\}")


class Violation(NamedTuple):
    """A place of an answer that breaks its schema; `place` is a JSON pointer, `name` the property it is about."""

    place: str
    keyword: str
    name: str
    message: str
    mark: Provenance
    source: str


class ExpectedSpec:
    """What the spec promises, where the documentation is open in the reading of `behaviour`."""

    def __init__(self, spec: Spec, behaviour: BehaviourProfile | None = None) -> None:
        self.spec, self.behaviour = spec, behaviour or BehaviourProfile()
        self.document = _in_reading(spec.document, self.behaviour)
        self._schemas: dict[tuple[str, str, str], _Schema | None] = {}
        self._other: ExpectedSpec | None = None

    @classmethod
    def load(cls, behaviour: BehaviourProfile | None = None) -> ExpectedSpec:
        """Read the shipped spec."""
        from viralsync_mock.settings import shipped

        return cls(load_spec(shipped("openapi.yaml")), behaviour)

    def under_behaviour(self, behaviour: BehaviourProfile) -> ExpectedSpec:
        """Return the same spec in another reading."""
        if behaviour == self.behaviour:
            return self
        if self._other is None or self._other.behaviour != behaviour:
            self._other = ExpectedSpec(self.spec, behaviour)
        return self._other

    @property
    def operations(self) -> Mapping[str, Operation]:
        """Every operation by its id."""
        return self.spec.operations

    def effect(self, operation: str | None) -> str:
        """Return what an operation does to jobs; empty where the spec does not say."""
        known = self.operations.get(operation or "")
        return known.effect.kind if known and known.effect else ""

    def having(self, *effects: str) -> list[Operation]:
        """Return the operations with one of these effects."""
        return [each for each in self.operations.values() if each.effect and each.effect.kind in effects]

    @property
    def submit(self) -> Operation:
        """The operation that creates a job from nothing."""
        return next(each for each in self.having(CREATES) if "{" not in each.path)

    def one(self, effect: str) -> Operation:
        """Return the operation with this effect: the first, where there are several."""
        return self.having(effect)[0]

    def job_path(self, operation: Operation, job_id: str) -> dict[str, str]:
        """Return the path parameters that name a job; none for an operation without."""
        names = PARAMETERS.findall(operation.path)
        return dict.fromkeys(names, job_id)

    def responses(self, operation: str) -> Mapping[str, Any]:
        """Return the declared answers of an operation by status, as the reading has them."""
        found = self._operation(operation)["responses"]
        return {status: self.follow(answer) for status, answer in found.items() if not status.startswith("x-")}

    def _operation(self, operation: str) -> Any:
        known = self.operations[operation]
        return self.document["paths"][known.path][known.method.lower()]

    def follow(self, part: Any) -> Any:
        """Return what a `$ref` leads to, or the part itself."""
        while isinstance(part, dict) and "$ref" in part:
            part = _at(self.document, part["$ref"])
        return part

    def mark_of_status(self, operation: str, status: int) -> Provenance:
        """Return how well it is known that the operation answers so."""
        answer = self.responses(operation).get(str(status), {})
        return Provenance(answer.get("x-provenance", {}).get("mark", Provenance.ASSUMED))

    def mark_of_code(self, code: str) -> Provenance:
        """Return how well an error code of the spec is known."""
        entry = self.document["x-error-catalogue"].get(code, {})
        return Provenance(entry.get("x-provenance", {}).get("mark", Provenance.ASSUMED))

    def status_of_code(self, code: str) -> int:
        """Return the status that goes with an error code of the spec."""
        return int(self.document["x-error-catalogue"][code]["status"])

    @cached_property
    def codes(self) -> Mapping[str, str]:
        """Every error code of the spec by the name that it has in this reading."""
        return {self.behaviour.code(code): code for code in self.document["x-error-catalogue"]}

    def schema(self, operation: str, status: int, media_type: str) -> _Schema | None:
        """Return what judges the body of an answer, or one event of a stream; None where nothing is promised."""
        key = (operation, str(status), media_type)
        if key not in self._schemas:
            answer = self.responses(operation).get(str(status), {})
            content = answer.get("content", {}).get(media_type, {})
            schema = content.get("x-event-schema" if media_type == EVENT_STREAM else "schema")
            self._schemas[key] = _Schema(self, schema) if schema is not None else None
        return self._schemas[key]

    def component(self, name: str) -> _Schema:
        """Return what judges a component schema."""
        key = ("", "", name)
        if key not in self._schemas:
            self._schemas[key] = _Schema(self, {"$ref": f"#/components/schemas/{name}"})
        found = self._schemas[key]
        assert found is not None  # noqa: S101 - just stored
        return found


class _Schema:
    """One schema of the contract, open for violations and closed for what is new."""

    def __init__(self, contract: ExpectedSpec, schema: Mapping[str, Any]) -> None:
        self._contract, self._schema = contract, schema
        root = {**schema, "components": contract.document["components"]}
        self._open = Draft202012Validator(root, validate_formats=True)
        self._closed = Draft202012Validator(close_objects(schema, contract.document), validate_formats=True)

    def violations(self, value: object) -> Iterator[Violation]:
        """Yield every place that breaks the schema; of a choice, the branch that was meant."""
        chosen = self._contract_branch(value)
        if chosen is not None:
            yield from chosen.violations(value)
            return
        for error in _errors(self._open, value):
            yield self._violation(error)

    def additions(self, value: object) -> Iterator[tuple[str, str]]:
        """Yield place and name of every property that the spec does not know."""
        chosen = self._contract_branch(value)
        if chosen is not None:
            yield from chosen.additions(value)
            return
        for error in _errors(self._closed, value):
            if error.kind.name in {"unevaluatedProperties", "additionalProperties"}:
                for name in _unexpected(error):
                    yield _pointer(error.instance_path), name

    def _contract_branch(self, value: object) -> _Schema | None:
        """Return the branch of a `oneOf` whose `status` the value has, so that what is wrong can be named."""
        schema = self._contract.follow(self._schema)
        if not (isinstance(schema, dict) and "oneOf" in schema and isinstance(value, dict)):
            return None
        for branch in schema["oneOf"]:
            status = self._contract.follow(self._contract.follow(branch).get("properties", {}).get("status", {}))
            if value.get("status") in (status.get("const"), *status.get("enum", ())):
                return self._contract.component(branch["$ref"].rpartition("/")[2])
        return None

    def _violation(self, error: ValidationError) -> Violation:
        keyword = str(error.evaluation_path[-1]) if error.evaluation_path else ""
        name = str(getattr(error.kind, "property", "")) if keyword == "required" else ""
        path = [*error.evaluation_path, *(("..", "properties", name) if name else ())]
        mark, source = self._provenance(path)
        if keyword in FORM_KEYWORDS or self._may_be_absent(error, keyword, name):
            mark = Provenance.ASSUMED if mark is Provenance.DOCUMENTED else mark
        got = "" if name else f", got {_short(error.instance)}"
        return Violation(_pointer(error.instance_path), keyword, name, f"{error.message}{got}", mark, source)

    def _may_be_absent(self, error: ValidationError, keyword: str, name: str) -> bool:
        """Return whether all that is wrong is null or nothing in the place of the other: pages leave that open."""
        if keyword == "required":
            return self._allows_null(self._at_path([*error.evaluation_path[:-1], "properties", name]))
        path = list(error.evaluation_path[:-1])
        if error.instance is not None or len(path) < MIN_PROPERTY_PATH or path[-2] != "properties":
            return False
        return path[-1] not in self._at_path(path[:-2]).get("required", ())

    def _allows_null(self, part: Any) -> bool:
        part = self._contract.follow(part)
        types = part.get("type", ())
        return NULLABLE in ([types] if isinstance(types, str) else types) or any(
            self._allows_null(each) for each in part.get("anyOf", ())
        )

    def _at_path(self, path: Sequence[str | int]) -> Any:
        here: Any = self._schema
        for step in path:
            here = _at(self._contract.document, here["$ref"]) if step == "$ref" else here[step]
        return here

    def _provenance(self, path: Sequence[str | int]) -> tuple[Provenance, str]:
        """Return the mark nearest above a place of the schema; what a reference leads to is known no better than it."""
        trail: list[Any] = [self._schema]
        found: dict[str, Any] = {}
        for step in path:
            if step == "..":
                trail.pop()
                continue
            here, is_reference = trail[-1], step == "$ref"
            if is_reference:
                trail.append(_at(self._contract.document, here["$ref"]))
            else:
                trail.append(here[step] if not isinstance(here, dict) or step in here else {})
            nearer = trail[-1].get("x-provenance") if isinstance(trail[-1], dict) else None
            if nearer and not (is_reference and found and nearer["mark"] == Provenance.DOCUMENTED):
                found = nearer
        return Provenance(found.get("mark", "A")), str(found.get("source", ""))


def _errors(validator: Draft202012Validator, value: object) -> Iterator[ValidationError]:
    """Return what is wrong with a value; each error costs some KB, so of a long value only the beginning is judged."""
    if validator.is_valid(value):
        return iter(())
    short = next(cut for most in SHORTER if _size(cut := _shortened(value, most)) <= MAX_JUDGED or most == SHORTER[-1])
    return chain.from_iterable(map(_meant, validator.iter_errors(short)))


def _shortened(value: Any, most: int) -> Any:
    """Return a value with this many items of each list at most; objects stay whole: nothing seems to be missing."""
    if isinstance(value, list):
        return [_shortened(each, most) for each in value[:most]]
    if isinstance(value, dict):
        return {name: _shortened(part, most) for name, part in islice(value.items(), MAX_JUDGED)}
    return value


def _size(value: Any) -> int:
    parts = value if isinstance(value, list) else value.values() if isinstance(value, dict) else ()
    return 1 + sum(map(_size, parts))


def _meant(error: ValidationError) -> Iterator[ValidationError]:
    """Yield what is wrong with the branch of a choice that was meant: the one which takes values of such a type."""
    branches = [
        branch
        for branch in getattr(error.kind, "context", ())
        if not any(each.kind.name == "type" and each.instance_path == error.instance_path for each in branch)
    ]
    if len(branches) != 1:
        yield error
        return
    for each in branches[0]:
        yield from _meant(each)


def _unexpected(error: ValidationError) -> list[str]:
    return list(error.kind.as_dict().get("unexpected", ()))


def _pointer(path: Sequence[str | int]) -> str:
    """Return a JSON pointer, with a star for the number of an item: what is wrong with one is wrong with all."""
    return "".join(f"/{'*' if isinstance(step, int) else step}" for step in path)


def _short(value: object, longest: int = 60) -> str:
    text = repr(value)
    return text if len(text) <= longest else f"{text[:longest]}…"


def _at(document: Any, reference: str) -> Any:
    found = document
    for step in reference.removeprefix("#/").split("/"):
        found = found[step.replace("~1", "/").replace("~0", "~")]
    return found


def _in_reading(document: Mapping[str, Any], behaviour: BehaviourProfile) -> dict[str, Any]:
    """Return the document with the switches of a profile turned: what the target is then expected to send."""
    found = deepcopy(dict(document))
    schemas = found["components"]["schemas"]
    page = schemas["JobPage"]
    if behaviour.list_key != "jobs":
        page["properties"][behaviour.list_key] = page["properties"].pop("jobs")
        page["required"] = [behaviour.list_key if name == "jobs" else name for name in page["required"]]
    empty = {ENDS: behaviour.cancel_response == "empty", DELETES: behaviour.delete_response == "empty"}
    for methods in found["paths"].values():
        for operation in methods.values():
            effect = operation.get("x-effect", {}).get("kind") if isinstance(operation, dict) else None
            if effect == STREAMS and behaviour.sse_payload == "job":  # webhooks stay as they are
                stream = operation["responses"]["200"]["content"][EVENT_STREAM]
                stream["x-event-schema"] = {"$ref": "#/components/schemas/Job"}
            if effect == STREAMS and behaviour.sse_after_end == "no_content":
                operation["responses"][NO_CONTENT] = {"description": "The job has ended, and the client has seen it."}
            if empty.get(str(effect)) and "200" in operation["responses"]:
                links = operation["responses"].pop("200")
                operation["responses"][NO_CONTENT] = {key: part for key, part in links.items() if key != "content"}
    found["x-error-catalogue"]["PLAN_LIMIT_EXCEEDED"]["status"] = behaviour.plan_limit_status
    return found
