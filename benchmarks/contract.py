"""The one schema that every validating peer is given: the body of `submitRenderJob` in openapi.yaml."""

import os
from pathlib import Path
from typing import Any

import yaml

from benchmarks.report import BenchmarkError

ROOT = Path(__file__).parent.parent
SPEC_VARIABLE = "BENCHMARK_SPEC"


def spec_path() -> Path:
    """The spec under test: openapi.yaml of this checkout, or what `--spec` chose."""
    return Path(os.environ.get(SPEC_VARIABLE, ROOT / "openapi.yaml"))


def submit_schema() -> dict[str, Any]:
    """A self-contained JSON Schema (draft 2020-12) of the body of `submitRenderJob`."""
    document = yaml.load(spec_path().read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
    try:
        operation = document["paths"]["/v1/render/jobs"]["post"]
        body = _resolved(operation["requestBody"], document)
        schema: dict[str, Any] = body["content"]["application/json"]["schema"]
    except (KeyError, TypeError) as error:
        raise BenchmarkError(f"{spec_path().name}: no JSON body schema at submitRenderJob ({error})") from None
    schemas = document.get("components", {}).get("schemas", {})
    return {**schema, "components": {"schemas": schemas}}


def _resolved(node: dict[str, Any], document: dict[str, Any]) -> dict[str, Any]:
    """`node`, or what its `$ref` into the same document names."""
    if "$ref" not in node:
        return node
    target: Any = document
    for step in node["$ref"].removeprefix("#/").split("/"):
        target = target[step]
    return _resolved(target, document)
