"""Counter-mutants that follow from the spec and the profile: another reading of each thing that is not documented."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from typing import Any

from viralsync_conform.mutants.derived.mutations import kebab
from viralsync_conform.mutants.derived.paths import DOCUMENTED
from viralsync_conform.mutants.engine.stream_layers import everywhere
from viralsync_conform.mutants.mutant import READING, Mutant
from viralsync_mock.config.behaviour import SWITCHES
from viralsync_mock.openapi.spec import Spec

FORM = ("pattern", "format", "minLength")
"""Keywords of the form of a text: pages show it in samples at most."""

BOUNDS = ("minimum", "exclusiveMinimum", "maximum", *FORM)
REQUESTS = ("RenderJobSubmission", "Movie", "Scene", "Layer", "RenderOptions")

SchemaEdit = Callable[[dict[str, Any]], object]


def derived_readings(spec: Spec) -> Iterator[Mutant]:
    """Yield them all, in the order of the spec."""
    yield from _of_switches()
    yield from _of_codes(spec)
    for component in REQUESTS:
        yield from _of_request(spec, component)
    yield from _of_nulls(spec)


def _reading(name: str, statement: str, subject: str, **changes: Any) -> Mutant:
    return Mutant(name, statement, READING, subject, is_permitted=True, **changes)


def _of_switches() -> Iterator[Mutant]:
    for switch, known in SWITCHES.items():
        section, _, key = switch.partition(".")
        for position in known.metadata["one_of"]:
            if position != known.default:
                name = f"switch-{switch}-{position}".lower().translate(str.maketrans("._+=", "----"))
                statement = f"The switch `{switch}` is at `{position}`."
                yield _reading(name, statement, "behaviour", behaviour={section: {key: position}})


def _of_codes(spec: Spec) -> Iterator[Mutant]:
    for code, entry in spec.document["x-error-catalogue"].items():
        if entry["x-provenance"]["mark"] != DOCUMENTED:
            name, statement = f"code-of-{kebab(code).replace('_', '-')}", f"`{code}` has another code."
            yield _reading(name, statement, "errors", behaviour={"errors": {code.lower(): f"E_{code}"}})


def _of_request(spec: Spec, component: str) -> Iterator[Mutant]:
    schema = spec.document["components"]["schemas"][component]

    def reading(what: str, name: str, statement: str, edit: Callable[[dict[str, Any]], object]) -> Mutant:
        def edit_spec(document: dict[str, Any]) -> None:
            edit(document["components"]["schemas"][component])

        label = "-".join(filter(None, (what, kebab(component), kebab(name))))
        return _reading(label, statement, "validation", edit_spec=edit_spec)

    if "additionalProperties" not in schema:
        yield reading("strict", "", f"A {component} may have no other properties.", _close)
    for name, part in schema["properties"].items():
        for what, words, edit in _of_property(name, part, name in schema.get("required", ())):
            yield reading(what, name, f"`{name}` of a {component} {words}.", edit)


def _of_property(name: str, part: dict[str, Any], is_required: bool) -> Iterator[tuple[str, str, SchemaEdit]]:
    is_known = part["x-provenance"]["mark"] == DOCUMENTED
    if _without_null(part) != part:
        yield "no-null-in", "may not be null", _replacing(name, _without_null)
    if any(keyword in part for keyword in (FORM if is_known else BOUNDS)):
        unbound = {key: value for key, value in part.items() if key not in BOUNDS}
        yield "any", "may be anything of its type", _replacing(name, lambda _: unbound)
    if is_required and not is_known:
        yield "optional", "may be left out", lambda schema: schema["required"].remove(name)
    if "string" in str(part.get("type")) and not {"const", "minLength"} & part.keys():
        yield "no-empty", "may not be empty", _replacing(name, lambda known: {**known, "minLength": 1})


def _close(schema: dict[str, Any]) -> None:
    schema["additionalProperties"] = False


def _replacing(name: str, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Callable[[dict[str, Any]], None]:
    return lambda schema: schema["properties"].update({name: change(deepcopy(schema["properties"][name]))})


def _without_null(part: Mapping[str, Any]) -> dict[str, Any]:
    """Return a property's schema without null among its types or choices."""
    found = dict(part)
    if isinstance(part.get("type"), list):
        [found["type"]] = [each for each in part["type"] if each != "null"]
    if "anyOf" in part:
        found["anyOf"] = [each for each in part["anyOf"] if each.get("type") != "null"]
    return found


def _of_nulls(spec: Spec) -> Iterator[Mutant]:
    properties = spec.document["components"]["schemas"]["Job"]["properties"]
    nullable = [name for name, part in properties.items() if _without_null(part) != part]
    for names in (nullable, *([each] for each in nullable)):
        label = "all" if names is nullable else kebab(names[0])
        statement = f"Of a job, {', '.join(names)} are left out instead of null."
        yield _reading(f"left-out-{label}", statement, "jobs", layer=everywhere(_trimming(names)))


def _trimming(names: Sequence[str]) -> Callable[[dict[str, Any], object], None]:
    def trim(document: dict[str, Any], _: object) -> None:
        for name in names:
            if name in document and document[name] is None:
                del document[name]

    return trim
