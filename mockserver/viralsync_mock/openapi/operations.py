"""The operations of the spec: parameters, bodies and answers, read from `paths`."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from viralsync_mock.config.yaml_source import Node, preview
from viralsync_mock.errors import did_you_mean
from viralsync_mock.openapi.dialect import EVENT_SCHEMA, METHODS, follow, steps

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

JSON = "application/json"
_STATUS = re.compile(r"[1-5][0-9]{2}|[1-5]XX|default")
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
    """One declared response of an operation; `media_type` is None for one without a body.

    `name` is the key of the spec, which may be a range such as `4XX`, or `default`; `status` the first that it stands
    for, and 0 for `default`. `event_schema` describes the data of one event of a stream.
    """

    status: int
    schema: dict[str, Any] | None
    media_type: str | None
    examples: Mapping[str, Any]
    headers: tuple[Parameter, ...]
    name: str = ""
    event_schema: dict[str, Any] | None = None


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
    """One method on one path; `document` is its raw object, `secured` says whether it needs a key.

    `path` begins with the path of the server's URL. `responses` holds the statuses that are written out,
    `fallbacks` ranges and `default` by their names.
    """

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
    fallbacks: Mapping[str, ResponseSpec] = field(default_factory=dict)

    def response(self, status: int) -> ResponseSpec | None:
        """Return what the spec declares for a status: itself, its range, or the default."""
        found = self.responses.get(status) or self.fallbacks.get(f"{status // 100}XX")
        return found or self.fallbacks.get("default")

    @property
    def all_responses(self) -> tuple[ResponseSpec, ...]:
        """Every declared response."""
        return (*self.responses.values(), *self.fallbacks.values())

    @property
    def job_parameter(self) -> str | None:
        """The path parameter that names a job: as `x-effect` says, else the only one there is."""
        if self.effect is not None:
            return self.effect.path_parameter
        names = [each.name for each in self.parameters if each.location == "path"]
        return names[0] if len(names) == 1 else None


class Operations(NamedTuple):
    """The operations by path and method (upper case), and by id the place of each in the spec."""

    by_path: dict[str, dict[str, Operation]]
    places: dict[str, Node]


def read_operations(root: Node) -> Operations:
    """Return the operations; two paths or two ids that clash are refused."""
    paths: dict[str, dict[str, Operation]] = {}
    places: dict[str, Node] = {}
    shapes: dict[str, str] = {}
    for path, item in root["paths"].items():
        if path.startswith("x-"):
            continue
        target = _target(root, item)
        _check_clash(item, path, shapes)
        for method in METHODS:
            if method not in target.value:
                continue
            place = target[method]
            for at, base in enumerate(_base_paths(root, target, place)):
                full = base + path
                _check_clash(item, full, shapes)
                operation = _operation(root, full, method, place, _parameters(root, target))
                paths.setdefault(full, {})[method.upper()] = operation
                if at == 0:
                    _add_place(places, operation, place)
    return Operations(paths, places)


def _shape(path: str) -> str:
    return "/".join("{}" if part[:1] + part[-1:] == "{}" else part for part in path.split("/"))


def first_by_id(paths: Mapping[str, Mapping[str, Operation]]) -> dict[str, Operation]:
    """Return the operations by id; of one that has several servers, the path of the first counts."""
    found: dict[str, Operation] = {}
    for methods in paths.values():
        for operation in methods.values():
            found.setdefault(operation.id, operation)
    return found


def _check_clash(item: Node, path: str, shapes: dict[str, str]) -> None:
    other = shapes.setdefault(_shape(path), path)
    if other != path:
        item.fail(f"{path} and {other} are the same path: keep one of them")


def _add_place(places: dict[str, Node], operation: Operation, place: Node) -> None:
    other = places.setdefault(operation.id, place)
    if other is not place:
        place["operationId"].fail(f"{preview(operation.id)} already names {_title(other)}: choose another")


def _title(place: Node) -> str:
    return f"{str(place.path[-1]).upper()} {place.path[-2]}"


def _base_paths(root: Node, item: Node, operation: Node) -> tuple[str, ...]:
    """Return the paths of the servers' URLs, with which the operation's own path begins; mostly there is none."""
    servers = operation.get("servers") or item.get("servers") or root.get("servers")
    found = dict.fromkeys(_base_path(server) for server in servers or ())
    return tuple(found) or ("",)


def _base_path(server: Node) -> str:
    url: str = server.allow_keys("url", "description", "variables")["url"].expect(str)
    variables = server.get("variables")
    for name, variable in variables.items() if variables else ():
        url = url.replace(f"{{{name}}}", variable["default"].expect(str))
    try:
        path = urlsplit(url).path.rstrip("/")
    except ValueError as problem:
        server["url"].fail(f"{preview(url)} is not a URL: {problem}")
    if path and not path.startswith("/"):
        server["url"].fail(f"{preview(url)}: the path of a server begins with /")
    if "{" in path:
        server["url"].fail(f"{preview(url)}: every variable needs a default below `variables`")
    return path


def _target(root: Node, place: Node) -> Node:
    """Return the place that a `$ref` leads to, or the place itself."""
    if "$ref" not in place.expect(dict):
        return place
    reference, value = follow(root.value, place.value["$ref"])
    return Node(place.source, value, steps(reference))


def _operation(
    root: Node, path: str, method: str, place: Node, shared: Mapping[tuple[str, str], Parameter]
) -> Operation:
    parameters = tuple({**shared, **_parameters(root, place)}.values())
    _check_template(place, path, {each.name for each in parameters if each.location == "path"})
    schema, required = _body(root, place)
    responses, fallbacks = _responses(root, place["responses"])
    return Operation(
        id=place["operationId"].expect(str),
        method=method.upper(),
        path=path,
        parameters=parameters,
        body_schema=schema,
        body_required=required,
        responses=responses,
        fallbacks=fallbacks,
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


def _responses(root: Node, place: Node) -> tuple[dict[int, ResponseSpec], dict[str, ResponseSpec]]:
    """Return the responses by status, and those of ranges and the default by name."""
    found: dict[int, ResponseSpec] = {}
    fallbacks: dict[str, ResponseSpec] = {}
    for name, answer in place.items():
        if name.startswith("x-"):
            continue
        if not _STATUS.fullmatch(name):
            answer.fail(f"{preview(name)} is not a status: expected 200 for instance, a range such as 4XX, or default")
        response = _response(root, name, _target(root, answer))
        if name.isdecimal():
            found[int(name)] = response
        else:
            fallbacks[name] = response
    if "2XX" in fallbacks and not any(map(_is_success, found)):
        found[200] = fallbacks["2XX"]
    if not any(map(_is_success, found)):
        place.fail("no 2xx answer: add the one that says success")
    return dict(sorted(found.items())), fallbacks


def _is_success(status: int) -> bool:
    return 200 <= status < 300


def _response(root: Node, name: str, place: Node) -> ResponseSpec:
    status = 0 if name == "default" else int(name.replace("XX", "00"))
    headers = place.get("headers")
    found = tuple(_header(name, _target(root, header)) for name, header in (headers.items() if headers else ()))
    content = place.get("content")
    if content is None or not content.expect(dict):
        return ResponseSpec(status, None, None, {}, found, name)
    if len(content.value) > 1:
        content.fail(f"one media type per answer is supported, got {', '.join(content.value)}")
    media_type, media = next(content.items())
    schema = media.get("schema")
    own = schema.expect(dict) if schema else None
    return ResponseSpec(status, own, media_type, _examples(root, media), found, name, _event_schema(root, media))


def _event_schema(root: Node, media: Node) -> dict[str, Any] | None:
    """Return `x-event-schema`, or the `contentSchema` of `data` where the schema is that of an event's fields."""
    place = media.get(EVENT_SCHEMA)
    if place is None and (schema := media.get("schema")) is not None:
        fields = _target(root, schema).get("properties")
        data = fields.get("data") if fields else None
        place = _target(root, data).get("contentSchema") if data else None
    return place.expect(dict) if place else None


def _header(name: str, place: Node) -> Parameter:
    return Parameter(name, "header", _flag(place, "required"), place["schema"].expect(dict))


def _examples(root: Node, media: Node) -> dict[str, Any]:
    if "example" in media.value:
        return {"example": media.value["example"]}
    named = media.get("examples")
    return {name: _target(root, each)["value"].value for name, each in (named.items() if named else ())}
