"""What a movie is where the submission does not say: read from the spec's defaults, once."""

from __future__ import annotations

from dataclasses import dataclass
from string import Formatter
from typing import TYPE_CHECKING, Any

from viralsync_mock.errors import SpecError
from viralsync_mock.openapi.extensions import read_template

if TYPE_CHECKING:
    from collections.abc import Iterator

    from viralsync_mock.openapi.spec import Spec


@dataclass(frozen=True, slots=True)
class MovieDefaults:
    """Pixels of the frame, the quality preset, and where outputs are: `{jobId}` in it stands for the id."""

    width: float
    height: float
    preset: str
    output_url: str


def read_movie_defaults(spec: Spec) -> MovieDefaults:
    """Read the defaults from the schema of a submission; raises SpecError for one that is missing."""
    return MovieDefaults(
        width=_default(spec, "movie", "width"),
        height=_default(spec, "movie", "height"),
        preset=_default(spec, "renderOptions", "qualityPreset"),
        output_url=_output_url(spec),
    )


def _default(spec: Spec, *trail: str) -> Any:
    operation = spec.operations.get("submitRenderJob")
    schemas = [operation.body_schema or {}] if operation else []
    for name in trail:
        schemas = [part for schema in schemas for part in _property(spec, schema, name)]
    for schema in schemas:
        for key in ("default", "x-default"):
            if key in schema:
                return schema[key]
    raise SpecError(f"submitRenderJob: no default for {'.'.join(trail)}: add `x-default` to its schema")


def _property(spec: Spec, schema: dict[str, Any], name: str) -> Iterator[dict[str, Any]]:
    """Yield the schemas of a property, through references and alternatives."""
    resolved = spec.resolve(schema)
    if name in resolved.get("properties", {}):
        yield spec.resolve(resolved["properties"][name])
    for part in (*resolved.get("allOf", ()), *resolved.get("anyOf", ()), *resolved.get("oneOf", ())):
        yield from _property(spec, part, name)


def _output_url(spec: Spec) -> str:
    place = spec.root["x-output-url"].allow_keys("template")["template"]
    template = read_template(place)
    if {name for _, name, _, _ in Formatter().parse(template) if name} != {"jobId"}:
        place.fail(f"expected the address of an output with {{jobId}} in it and no other placeholder, got {template}")
    return template
