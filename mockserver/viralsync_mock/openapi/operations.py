"""The operations of the spec: parameters, bodies and answers, read from `paths`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from viralsync_mock.config.yaml_source import Node, preview
from viralsync_mock.errors import did_you_mean
from viralsync_mock.openapi.dialect import METHODS, follow, steps

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

JSON = "application/json"
_STYLES = {"query": "form", "header": "simple", "path": "simple"}


@dataclass(frozen=True, slots=True)
class Parameter:
    """One query, header or path parameter; also one response header (`location` is `header`)."""

    name: str
    location: str
    required: bool
    schema: dict[str, Any]


@dataclass(frozen=True, slots=True)
class ResponseSpec:
    """One declared status of an operation; `media_type` is None for an answer without a body."""

    status: int
    schema: dict[str, Any] | None
    media_type: str | None
    examples: Mapping[str, Any]
    headers: tuple[Parameter, ...]


EFFECTS = ("creates", "reads", "lists", "streams", "ends", "deletes", "account")
_REQUEST_JOB = "$request.path."
_RESPONSE_JOB = "$response.body#/"


@dataclass(frozen=True, slots=True)
class Effect:
    """What a call does to jobs (`x-effect`): its kind, one of `EFFECTS`, and the place of the job's id.

    `path_parameter` names the path parameter that holds the id; `pointer` leads to the id in the response's body,
    with `*` for each item of a list. At most one of the two is given; `account` has neither.
    """

    kind: str
    path_parameter: str | None = None
    pointer: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Operation:
    """One method on one path; `document` is its raw object, `secured` says whether it needs a key."""

    id: str
    method: str
    path: str
    parameters: tuple[Parameter, ...]
    body_schema: dict[str, Any] | None
    body_required: bool
    responses: Mapping[int, ResponseSpec]
    secured: bool
    document: dict[str, Any]
    effect: Effect | None = None

    @property
    def job_parameter(self) -> str | None:
        """The path parameter that names a job: as `x-effect` says, else the only one there is."""
        if self.effect is not None:
            return self.effect.path_parameter
        names = [each.name for each in self.parameters if each.location == "path"]
        return names[0] if len(names) == 1 else None


def read_operations(root: Node) -> dict[str, dict[str, Operation]]:
    """Return the operations by path and method (upper case); two paths or two ids that clash are refused."""
    paths: dict[str, dict[str, Operation]] = {}
    shapes: dict[str, str] = {}
    for path, item in root["paths"].items():
        if path.startswith("x-"):
            continue
        shape = "/".join("{}" if part[:1] + part[-1:] == "{}" else part for part in path.split("/"))
        if shape in shapes:
            item.fail(f"{path} and {shapes[shape]} are the same path: keep one of them")
        shapes[shape] = path
        paths[path] = _of_path(root, path, _target(root, item))
    _check_ids(root, (operation for methods in paths.values() for operation in methods.values()))
    return paths


def _check_ids(root: Node, operations: Iterable[Operation]) -> None:
    found: dict[str, Operation] = {}
    for operation in operations:
        other = found.setdefault(operation.id, operation)
        if other is not operation:
            place = _target(root, root["paths"][operation.path])[operation.method.lower()]["operationId"]
            place.fail(f"{preview(operation.id)} already names {other.method} {other.path}: choose another")


def _target(root: Node, place: Node) -> Node:
    """Return the place that a `$ref` leads to, or the place itself."""
    if "$ref" not in place.expect(dict):
        return place
    reference, value = follow(root.value, place.value["$ref"])
    return Node(place.source, value, steps(reference))


def _of_path(root: Node, path: str, item: Node) -> dict[str, Operation]:
    shared = _parameters(root, item)
    return {
        method.upper(): _operation(root, path, method, item[method], shared)
        for method in METHODS
        if method in item.value
    }


def _operation(
    root: Node, path: str, method: str, place: Node, shared: Mapping[tuple[str, str], Parameter]
) -> Operation:
    parameters = tuple({**shared, **_parameters(root, place)}.values())
    _check_template(place, path, {each.name for each in parameters if each.location == "path"})
    schema, required = _body(root, place)
    return Operation(
        id=place["operationId"].expect(str),
        method=method.upper(),
        path=path,
        parameters=parameters,
        body_schema=schema,
        body_required=required,
        responses=_responses(root, place["responses"]),
        secured=_is_secured(place.get("security") or root.get("security")),
        document=place.value,
        effect=_effect(place, parameters),
    )


def _effect(place: Node, parameters: Iterable[Parameter]) -> Effect | None:
    found = place.get("x-effect")
    if found is None:
        return None
    kind = found.allow_keys("kind", "jobId")["kind"]
    if kind.value not in EFFECTS:
        kind.fail(
            f"expected one of {', '.join(EFFECTS)}, got {preview(kind.value)}.{did_you_mean(kind.value, EFFECTS)}"
        )
    if kind.value == "account":
        if "jobId" in found.value:
            found["jobId"].fail("an operation of kind account has no job: remove it")
        return Effect(kind.value)
    return _job_effect(kind.value, found["jobId"], [each.name for each in parameters if each.location == "path"])


def _job_effect(kind: str, place: Node, names: Sequence[str]) -> Effect:
    expression: str = place.expect(str)
    if kind in {"creates", "lists"}:
        if not expression.startswith(_RESPONSE_JOB):
            place.fail(f"expected where the response holds the id, {_RESPONSE_JOB}jobId for instance, got {expression}")
        return Effect(kind, pointer=steps(expression.removeprefix("$response.body")))
    name = expression.removeprefix(_REQUEST_JOB)
    if name == expression or name not in names:
        known = ", ".join(_REQUEST_JOB + each for each in names) or f"{_REQUEST_JOB}NAME, but the path has no parameter"
        place.fail(f"expected {known}, got {preview(expression)}.{did_you_mean(name, names)}")
    return Effect(kind, path_parameter=name)


def _is_secured(place: Node | None) -> bool:
    return place is not None and bool(place.expect(list)) and {} not in place.value


def _check_template(place: Node, path: str, declared: set[str]) -> None:
    named = set()
    for part in path.split("/")[1:]:
        if part.startswith("{") and part.endswith("}"):
            named.add(part[1:-1])
        elif "{" in part or "}" in part:
            place.fail(f"{preview(part)} in {path}: a parameter must fill the whole of a segment")
    if not path.startswith("/") or (named and "//" in path):
        place.fail(f"{path}: a path begins with / and has no empty segment")
    for name in sorted(named - declared):
        place.fail(f"{path} names {{{name}}}: declare a path parameter for it.{did_you_mean(name, declared)}")
    for name in sorted(declared - named):
        place.fail(f"path parameter {preview(name)} does not stand in {path}.{did_you_mean(name, named)}")


def _parameters(root: Node, owner: Node) -> dict[tuple[str, str], Parameter]:
    declared = owner.get("parameters")
    found = (_parameter(root, _target(root, place)) for place in declared or ())
    return {(each.location, each.name): each for each in found}


def _parameter(root: Node, place: Node) -> Parameter:
    location = place["in"].expect(str)
    if location not in _STYLES:
        place["in"].fail(
            f"{preview(location)} is not supported.{did_you_mean(location, _STYLES)} Known: query, header, path"
        )
    _check_style(root, place, location)
    required = _flag(place, "required")
    if location == "path" and not required:
        place.fail("a path parameter must say `required: true`")
    return Parameter(place["name"].expect(str), location, required, place["schema"].expect(dict))


def _check_style(root: Node, place: Node, location: str) -> None:
    style = place.value.get("style", _STYLES[location])
    if style != _STYLES[location]:
        place["style"].fail(f"expected {_STYLES[location]} for a {location} parameter, got {preview(style)}")
    types = _target(root, place["schema"]).value.get("type", [])
    if "object" in types or ("array" in types and location != "query"):
        place["schema"].fail(f"a {location} parameter cannot be of type {types} here: use a plain value")
    if "array" in types and place.value.get("explode") is False:
        place["explode"].fail("only the exploded form (tag=a&tag=b) is supported: remove `explode`")


def _flag(place: Node, key: str) -> bool:
    flag = place.get(key)
    return flag is not None and bool(flag.expect(bool))


def _body(root: Node, place: Node) -> tuple[dict[str, Any] | None, bool]:
    found = place.get("requestBody")
    if found is None:
        return None, False
    body = _target(root, found)
    content = body["content"]
    if list(content.expect(dict)) != [JSON]:
        content.fail(f"expected {JSON} alone, got {', '.join(content.value) or 'nothing'}")
    return content[JSON]["schema"].expect(dict), _flag(body, "required")


def _responses(root: Node, place: Node) -> dict[int, ResponseSpec]:
    found: dict[int, ResponseSpec] = {}
    for status, answer in place.items():
        if status.startswith("x-"):
            continue
        if not (status.isdecimal() and len(status) == 3):
            answer.fail(f"{preview(status)} is not a status: write each status out, 200 for instance")
        found[int(status)] = _response(root, int(status), _target(root, answer))
    if not any(200 <= status < 300 for status in found):
        place.fail("no 2xx answer: add the one that says success")
    return dict(sorted(found.items()))


def _response(root: Node, status: int, place: Node) -> ResponseSpec:
    headers = place.get("headers")
    found = tuple(_header(name, _target(root, header)) for name, header in (headers.items() if headers else ()))
    content = place.get("content")
    if content is None or not content.expect(dict):
        return ResponseSpec(status, None, None, {}, found)
    if len(content.value) > 1:
        content.fail(f"one media type per answer is supported, got {', '.join(content.value)}")
    media_type, media = next(content.items())
    schema = media.get("schema")
    return ResponseSpec(status, schema.expect(dict) if schema else None, media_type, _examples(root, media), found)


def _header(name: str, place: Node) -> Parameter:
    return Parameter(name, "header", _flag(place, "required"), place["schema"].expect(dict))


def _examples(root: Node, media: Node) -> dict[str, Any]:
    if "example" in media.value:
        return {"example": media.value["example"]}
    named = media.get("examples")
    return {name: _target(root, each)["value"].value for name, each in (named.items() if named else ())}
