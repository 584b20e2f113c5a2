"""Each example of a request in both OpenAPI documents is sent to the server, and accepted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from tests.conftest import LiveServer, movie, shipped

from viralsync_mock.control.app import read_control_spec
from viralsync_mock.openapi.spec import load_spec

STATES = {"getDelivery", "redeliver", "explainCall", "disarmFault", "restoreSnapshot"}
"""Operations whose examples name what another test has to make first."""


def examples(spec: Any, content: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the examples of a media type by their names."""
    if "example" in content:
        yield "example", content["example"]
    for name, each in content.get("examples", {}).items():
        yield name, spec.resolve(each)["value"]


def requests() -> Iterator[Any]:
    """Yield method, path and body of each example."""
    for spec in (load_spec(shipped("openapi.yaml")), read_control_spec()):
        for operation in spec.operations.values():
            body = operation.document.get("requestBody", {})
            for content in body.get("content", {}).values():
                for name, value in examples(spec, content):
                    yield pytest.param(operation.method, operation.path, value, id=f"{operation.id}-{name}")


def queries() -> Iterator[Any]:
    """Yield a call with the example of each parameter that has one."""
    for spec in (load_spec(shipped("openapi.yaml")), read_control_spec()):
        for operation in spec.operations.values():
            for parameter in operation.parameters:
                example = spec.resolve(parameter.schema).get("example")
                found = [
                    each for each in operation.document.get("parameters", ()) if each.get("name") == parameter.name
                ]
                value = found[0].get("example", example) if found else example
                if value is not None and operation.id not in STATES and operation.method == "GET":
                    yield pytest.param(operation.path, parameter, value, id=f"{operation.id}-{parameter.name}")


@pytest.fixture
def client(live_server: LiveServer) -> Iterator[httpx.Client]:
    """Yield a client with a key of its own on a frozen clock."""
    with live_server.client(clock="frozen") as client:
        yield client


@pytest.mark.parametrize(("method", "path", "body"), list(requests()))
def test_each_example_of_a_body_is_accepted(client: httpx.Client, method: str, path: str, body: Any) -> None:
    """Whoever copies an example gets a success; on a frozen clock a sleep would wait for another call."""
    if path.endswith("/sleep"):
        client.patch("/__mock/clock", json={"mode": "auto"})
    job = client.post("/v1/render/jobs", json=movie()).json()["jobId"]
    text = httpx.Request(method, client.base_url, json=body).content.replace(b"job_0123456789ab", job.encode())
    answer = client.request(
        method, path.replace("{jobId}", job), content=text, headers={"content-type": "application/json"}
    )
    assert answer.is_success, answer.text


@pytest.mark.parametrize(("path", "parameter", "value"), list(queries()))
def test_each_example_of_a_parameter_is_accepted(client: httpx.Client, path: str, parameter: Any, value: Any) -> None:
    """In its place: path, query or header."""
    job = client.post("/v1/render/jobs", json=movie()).json()["jobId"]
    shown = job if parameter.name == "jobId" else str(value)
    path = path.replace("{" + parameter.name + "}", shown).replace("{jobId}", job)
    sent: dict[str, Any] = {"params": {parameter.name: shown}} if parameter.location == "query" else {}
    if parameter.location == "header":
        sent = {"headers": {parameter.name: shown}}
    with client.stream("GET", path, **sent) as answer:
        assert answer.is_success or answer.status_code == 404, answer.read()
