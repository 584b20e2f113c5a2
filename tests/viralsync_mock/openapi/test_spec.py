"""The spec is read into nouns; whatever the mock does not understand stops the load and is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.support.paths import ROOT
from tests.support.small_spec import loaded, put, small, written

from viralsync_mock.config.yaml_source import Node
from viralsync_mock.errors import SpecError
from viralsync_mock.openapi.operations import Effect
from viralsync_mock.openapi.spec import ErrorEntry, Plan, RateLimit, ResponseSpec, Spec, load_spec

REAL = ROOT / "openapi.yaml"
TOY_LIST = "paths>/v1/toys>get"


@pytest.fixture
def spec(tmp_path: Path) -> Spec:
    """The small spec, as it is."""
    return loaded(small(), tmp_path)


def complaint(document: dict[str, Any], folder: Path) -> str:
    """Return why a document is refused, without the folder."""
    with pytest.raises(SpecError) as caught:
        loaded(document, folder)
    return str(caught.value).removeprefix(f"{folder}/")


def test_the_operations_are_found_by_id(spec: Spec) -> None:
    """All operations of all paths, and which of them need a key."""
    assert set(spec.operations) == {"listToys", "makeToy", "bestToy", "getToy", "breakToy", "watchToy"}
    assert [each.id for each in spec.operations.values() if not each.secured] == ["bestToy"]


def test_an_operation_knows_its_method_path_and_body(spec: Spec) -> None:
    """What the pipeline needs without looking into the document."""
    make = spec.operations["makeToy"]
    assert (make.method, make.path, make.body_required) == ("POST", "/v1/toys", True)
    assert make.body_schema == {"$ref": "#/components/schemas/Toy"}


def test_parameters_of_the_path_are_parameters_of_each_operation(spec: Spec) -> None:
    """A parameter behind a reference counts as if it were written out."""
    names = [(each.name, each.location, each.required) for each in spec.operations["getToy"].parameters]
    assert names == [("toyId", "path", True)]


def test_an_operation_overrides_a_parameter_of_its_path(tmp_path: Path) -> None:
    """The operation's own declaration wins, by name and location."""
    document = small()
    own = {"name": "toyId", "in": "path", "required": True, "schema": {"type": "integer"}}
    spec = loaded(put(document, "paths>/v1/toys/{toyId}>get>parameters", [own]), tmp_path)
    assert [each.schema for each in spec.operations["getToy"].parameters] == [{"type": "integer"}]


def test_answers_are_found_by_status(spec: Spec) -> None:
    """Schema, media type, examples and headers, references followed."""
    made = spec.operations["makeToy"].responses[201]
    assert (made.media_type, made.schema) == ("application/json", {"$ref": "#/components/schemas/Toy"})
    assert made.examples == {"first": {"name": "train", "parts": [{"id": "wheel"}]}}
    assert [(each.name, each.required) for each in made.headers] == [("Location", True)]


def test_an_answer_may_have_no_body(spec: Spec) -> None:
    """204 has neither media type nor schema."""
    assert spec.operations["breakToy"].responses == {204: ResponseSpec(204, None, None, {}, (), "204")}


def test_the_extensions_are_read(spec: Spec) -> None:
    """Errors, plans and limits come from the document's root."""
    assert spec.errors["BROKEN"] == ErrorEntry("BROKEN", 500, "It broke.")
    assert spec.plans["big"] == Plan("big", 200, None, 600, (1920, 1080), None, True, 29)
    assert (spec.rate_limit, spec.body_limit) == (RateLimit(120, 60), 1048576)


def test_presets_job_errors_and_the_form_of_a_key_are_read(spec: Spec) -> None:
    """What stands elsewhere in the document."""
    assert (spec.presets, spec.job_errors) == ({"slow": 1, "quick": 4}, {"STUCK": "It is stuck"})
    assert spec.key_pattern.fullmatch("toy_abcd")
    assert (spec.title, spec.version) == ("Toys", "2.0.0")


def test_operations_are_found_by_path_and_method(spec: Spec) -> None:
    """As the document has them."""
    assert spec.paths["/v1/toys/{toyId}"]["DELETE"].id == "breakToy"


def test_a_reference_is_followed_and_what_stands_beside_it_wins(spec: Spec) -> None:
    """A description or default beside a reference belongs to the place, not to the target."""
    found = spec.resolve({"$ref": "#/components/schemas/Colour", "default": "red"})
    assert found == {"type": "string", "enum": ["red", "green", "blue"], "default": "red"}


def test_a_schema_without_a_reference_is_resolved_to_itself(spec: Spec) -> None:
    """Nothing to follow."""
    assert spec.resolve({"type": "string"}) == {"type": "string"}


@pytest.mark.parametrize(
    "key",
    [
        "x-error-catalogue",
        "x-job-error-catalogue",
        "x-plans",
        "x-rate-limit",
        "x-body-limit",
        "paths",
        "info",
        "openapi",
    ],
)
def test_a_missing_part_of_the_root_is_named(key: str, tmp_path: Path) -> None:
    """A copy of the spec without the extensions is told which one it lacks."""
    document = small()
    del document[key]
    assert f'$: "{key}" is missing: add it.' in complaint(document, tmp_path)


REFUSED = [
    ("openapi", "3.0.3", '$.openapi: expected OpenAPI 3.1.x, got "3.0.3"'),
    (f"{TOY_LIST}>operationId", "getToy", '"getToy" already names GET /v1/toys: choose another'),
    (f"{TOY_LIST}>requestbody", {}, '"requestbody" is not a key that the mock understands in a method. Did you mean'),
    ("servers", [], None),
    ("x-anything", {}, None),
    ("paths>x-note", "not a path", None),
    (f"{TOY_LIST}>responses>x-note", "not an answer", None),
    ("path", {}, '$: "path" is not a key that the mock understands in a document. Did you mean "paths"?'),
    ("components>schemas>Colour>nullable", True, 'OpenAPI 3.0 wrote it so: add "null" to `type`'),
    ("components>schemas>Colour>minLenght", 1, 'Did you mean "minLength"?'),
    ("components>schemas>Colour>type", "strin", 'unknown type "strin". Did you mean "string"?'),
    ("components>schemas>Toy>properties>twin>$ref", "#/components/schemas/Tyo", 'mean "#/components/schemas/Toy"?'),
    ("components>schemas>Toy>properties>twin>$ref", "http://x/y.json", "nothing is fetched over the network"),
    ("components>schemas>Colour", {"$ref": "#/components/schemas/Colour"}, "leads back to itself"),
    ("components>schemas>Colour>discriminator", {"propertyName": "a"}, "needs `oneOf` or `anyOf` beside it"),
    (
        "components>schemas>Colour",
        {"oneOf": [], "discriminator": {"propertyName": "a", "mapping": {"b": "#/nowhere"}}},
        '"#/nowhere" leads nowhere',
    ),
    (f"{TOY_LIST}>parameters>0>in", "cookie", '"cookie" is not supported. Known: query, header, path'),
    (f"{TOY_LIST}>parameters>0>style", "spaceDelimited", 'expected form for a query parameter, got "spaceDelimited"'),
    (f"{TOY_LIST}>parameters>2>explode", False, "only the exploded form"),
    (f"{TOY_LIST}>parameters>0>schema", {"type": "object"}, "cannot be of type object here"),
    (f"{TOY_LIST}>parameters>5>schema", {"type": "array"}, "a header parameter cannot be of type array here"),
    (f"{TOY_LIST}>parameters>0>content", {}, "`content` is not supported here"),
    ("components>parameters>ToyId>required", False, "a path parameter must say `required: true`"),
    ("components>parameters>ToyId>name", "toyid", "names {toyId}: declare a path parameter for it. Did you mean"),
    ("paths>/v1/dolls", {"get": {"parameters": [{"$ref": "#/components/parameters/ToyId"}]}}, "does not stand in"),
    ("paths>/v1/toys/{id}.json", {"get": {}}, "a parameter must fill the whole of a segment"),
    ("paths>/v1/dolls/{id", {"get": {}}, "a parameter must fill the whole of a segment"),
    ("paths>/v1/toys/{other}", {}, "/v1/toys/{other} and /v1/toys/{toyId} are the same path"),
    ("paths>v1", {"get": {}}, "a path begins with /"),
    (f"{TOY_LIST}>responses>2xx", {"description": "x"}, '"2xx" is not a status: expected 200 for instance'),
    (f"{TOY_LIST}>responses", {"400": {"description": "x"}}, "no 2xx answer: add the one that says success"),
    (f"{TOY_LIST}>responses>200>content>text/html", {}, "one media type per answer is supported"),
    ("paths>/v1/toys>post>requestBody>content", {"text/plain": {}}, "expected application/json alone, got text/plain"),
    ("x-error-catalogue>BROKEN>text", "a {b", "write {{ and }} for braces"),
    ("x-error-catalogue>BROKEN>text", "a {b.c}", "a placeholder is a name alone, as in {seconds}; got {b.c}"),
    ("x-error-catalogue>BROKEN>text", "a {b:>9}", "a placeholder is a name alone"),
    ("x-error-catalogue>BROKEN>text", "a {}", "a placeholder is a name alone"),
    ("x-error-catalogue>BROKEN>status", 200, "expected a status from 400 to 599, got 200"),
    ("x-error-catalogue>BROKEN>txt", "", 'unknown key "txt". Did you mean "text"?'),
    ("x-plans>big>rest", "yes", 'expected true or false, got "yes"'),
    ("x-plans>big>jobsAtOnce", 1.5, "expected a whole number, got 1.5"),
    ("x-plans>big>renderMinutesPerDay", -1, "expected 0 or more, got -1"),
    ("x-plans>big>largestFrame", {"width": 1}, '"height" is missing: add it.'),
    ("x-rate-limit>requests", 0, "$.x-rate-limit.requests: expected 1 or more, got 0"),
    ("x-body-limit>bytes", True, "expected a whole number, got true"),
    ("components>securitySchemes>key>x-key-pattern", "(", "is not a regular expression"),
    ("components>securitySchemes", {}, "no scheme of type apiKey: add one"),
    ("components>schemas>Speed>x-workers", {"slow": 1}, '"quick" has no workers: add it.'),
    ("components>schemas>Speed>x-workers>slow", 0, "expected 1 or more, got 0"),
]  # fmt: skip


@pytest.mark.parametrize(("place", "value", "message"), [each for each in REFUSED if each[2]])
def test_what_the_mock_does_not_understand_stops_the_load(place: str, value: Any, message: str, tmp_path: Path) -> None:
    """One change each, and the complaint names file, line, place and what to do."""
    text = complaint(put(small(), place, value), tmp_path)
    assert message in text
    assert text.startswith("spec.yaml:1: $")


@pytest.mark.parametrize(("place", "value"), [each[:2] for each in REFUSED if not each[2]])
def test_what_says_nothing_about_the_answers_is_accepted(place: str, value: Any, tmp_path: Path) -> None:
    """Servers, and extensions that the mock does not know."""
    assert loaded(put(small(), place, value), tmp_path).title == "Toys"


def test_a_schema_without_workers_is_missed(tmp_path: Path) -> None:
    """The presets' workers stand at the schema of the presets."""
    document = small()
    del document["components"]["schemas"]["Speed"]["x-workers"]
    assert "no schema has `x-workers`" in complaint(document, tmp_path)


def test_examples_are_not_read_as_schemas(tmp_path: Path) -> None:
    """What looks like a reference or a keyword inside an example is data."""
    document = put(small(), "components>schemas>Colour>examples", [{"$ref": "nowhere", "nullable": 1}])
    assert loaded(document, tmp_path).title == "Toys"


def test_the_complaint_names_the_line_of_a_yaml_file(tmp_path: Path) -> None:
    """In a file written by hand the line leads straight to the place."""
    path = tmp_path / "spec.yaml"
    path.write_text(REAL.read_text().replace("maximum: 3840", "maximun: 3840", 1))
    line = next(at for at, text in enumerate(path.read_text().split("\n"), 1) if "maximun" in text)
    with pytest.raises(SpecError, match=rf'{path}:\d+: \$.components.schemas.Movie.properties.width: "maximun"'):
        load_spec(path)
    assert line > 1


def test_the_real_spec_is_read() -> None:
    """The file that ships with the kit has all eight operations."""
    assert len(load_spec(REAL).operations) == 8


def test_the_file_is_named_by_the_path_it_was_given_as(tmp_path: Path) -> None:
    """A user with several copies sees which one is meant."""
    path = written({"openapi": "2"}, tmp_path)
    with pytest.raises(SpecError, match=str(path)):
        load_spec(str(path))


def test_a_place_remembers_where_it_stands(spec: Spec) -> None:
    """The nouns hold plain values, never places; `root` alone keeps them, for complaints that come later."""
    assert not any(isinstance(value, Node) for name, value in vars(spec).items() if name != "root")


def test_an_operation_says_what_it_does_to_jobs() -> None:
    """`x-effect` gives the kind of each operation and the place of the job's id."""
    effects = {name: operation.effect for name, operation in load_spec(REAL).operations.items()}
    assert effects["submitRenderJob"] == Effect("creates", pointer=("jobId",))
    assert effects["listJobs"] == Effect("lists", pointer=("jobs", "*", "jobId"))
    by_path = {"getJob": "reads", "streamJobProgress": "streams", "cancelJob": "ends", "deleteJob": "deletes"}
    assert {name: effects[name] for name in by_path} == {
        name: Effect(kind, path_parameter="jobId") for name, kind in by_path.items()
    }
    assert effects["getMe"] == effects["getUsage"] == Effect("account")


@pytest.mark.parametrize(
    ("effect", "message"),
    [
        ({"kind": "read", "jobId": "$request.path.toyId"}, 'got "read". Did you mean "reads"?'),
        ({"kind": "reads"}, '"jobId" is missing'),
        ({"kind": "reads", "jobId": "$request.path.toyID"}, 'Did you mean "toyId"?'),
        ({"kind": "creates", "jobId": "$request.path.toyId"}, "expected where the response holds the id"),
        ({"kind": "account", "jobId": "$request.path.toyId"}, "has no job"),
        ({"kind": "reads", "jobid": "$request.path.toyId"}, "unknown key"),
    ],
)
def test_an_effect_that_leads_nowhere_is_refused(effect: dict[str, Any], message: str, tmp_path: Path) -> None:
    """A wrong kind or place of the job's id stops the load."""
    refusal = complaint(put(small(), "paths>/v1/toys/{toyId}>get>x-effect", effect), tmp_path)
    assert "spec.yaml:1: " in refusal
    assert message in refusal
