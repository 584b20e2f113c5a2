"""The OpenAPI document, read once: the only description of the API that the mock knows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from viralsync_mock.config.yaml_source import Node, preview, read_yaml
from viralsync_mock.errors import SpecError
from viralsync_mock.openapi.dialect import METHODS, SHARED_RESPONSES, check, follow
from viralsync_mock.openapi.extensions import (
    ErrorEntry,
    Plan,
    RateLimit,
    key_scheme,
    number,
    read_errors,
    read_job_errors,
    read_key_pattern,
    read_phase_errors,
    read_plans,
    read_presets,
    read_rate_limit,
)
from viralsync_mock.openapi.external_files import with_external_files
from viralsync_mock.openapi.operations import Operation, Parameter, ResponseSpec, first_by_id, read_operations

if TYPE_CHECKING:
    import re
    from collections.abc import Mapping
    from pathlib import Path

__all__ = [
    "ErrorEntry",
    "Operation",
    "Parameter",
    "Plan",
    "RateLimit",
    "ResponseSpec",
    "Spec",
    "load_spec",
]


class Spec:
    """The whole spec; everything on it is for reading only.

    `document` is the file's value, `root` the same with its places, `paths` its operations by path and method, `places`
    that of each operation by its id; `key_header` the header of API keys, in lower case. `job_errors` holds the text
    templates of failed
    jobs by code, `presets` the workers of each quality preset, `body_limit` bytes; `key_pattern` is for `fullmatch`.
    """

    def __init__(self, root: Node) -> None:
        self.paths: Mapping[str, Mapping[str, Operation]]
        self.paths, self.places = read_operations(root)
        self.root = root
        self.document: dict[str, Any] = root.value
        self.title: str = root["info"]["title"].expect(str)
        self.version: str = root["info"]["version"].expect(str)
        self.operations: Mapping[str, Operation] = first_by_id(self.paths)
        self.errors: Mapping[str, ErrorEntry] = read_errors(root["x-error-catalogue"])
        self.job_errors: Mapping[str, str] = read_job_errors(root["x-job-error-catalogue"])
        self.phase_errors: Mapping[str, str] = read_phase_errors(root["x-job-error-catalogue"])
        self.plans: Mapping[str, Plan] = read_plans(root["x-plans"])
        self.rate_limit: RateLimit = read_rate_limit(root["x-rate-limit"])
        self.body_limit: int = number(root["x-body-limit"].allow_keys("bytes")["bytes"], int, least=1)
        scheme = key_scheme(root["components"]["securitySchemes"])
        self.key_header: bytes = scheme["name"].expect(str).lower().encode("latin-1", "replace")
        self.key_pattern: re.Pattern[str] = read_key_pattern(scheme)
        self.presets: Mapping[str, int] = read_presets(root)

    def resolve(self, schema_or_ref: Mapping[str, Any]) -> dict[str, Any]:
        """Follow a `$ref` within the document; keywords beside it win over those of its target."""
        reference = schema_or_ref.get("$ref")
        if reference is None:
            return dict(schema_or_ref)
        beside = {key: value for key, value in schema_or_ref.items() if key != "$ref"}
        return {**follow(self.document, reference)[1], **beside}


def load_spec(path: Path | str) -> Spec:
    """Read an OpenAPI 3.1 file, or raise `SpecError`: file, line, place, what was expected, what came."""
    root = read_yaml(path, SpecError)
    version = root["openapi"].expect(str)
    if not version.startswith("3.1"):
        root["openapi"].fail(f"expected OpenAPI 3.1.x, got {preview(version)}")
    root = with_external_files(root)
    check(root)
    _add_shared_responses(root.value)
    return Spec(root)


def _add_shared_responses(document: dict[str, Any]) -> None:
    """Give each operation the responses that its path has for calls which are none of its own (`x-responses`)."""
    for name, item in document.get("paths", {}).items():
        if name.startswith("x-"):
            continue
        target = follow(document, item["$ref"])[1] if "$ref" in item else item
        shared = target.get(SHARED_RESPONSES, {})
        for method in filter(target.get, METHODS if shared else ()):
            operation = target[method]
            operation["responses"] = dict(sorted({**shared, **operation["responses"]}.items()))
