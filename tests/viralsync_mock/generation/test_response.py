"""An operation without a handler answers from its examples, or with invented data that fits its schema."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.paths import ROOT
from tests.support.small_spec import loaded, put, small

from viralsync_mock.errors import SpecError
from viralsync_mock.generation.primitives import FakeValues
from viralsync_mock.generation.response import generate_value, synthesise
from viralsync_mock.generation.values import flat, merged
from viralsync_mock.openapi.spec import Spec, load_spec
from viralsync_mock.validation.schema import Schema
from viralsync_mock.validation.validator import Validator

REAL = ROOT / "openapi.yaml"
BEST = "paths>/v1/toys/best>get>responses>200>content"


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> Spec:
    """The small spec, as it is."""
    return loaded(small(), tmp_path_factory.mktemp("spec"))


def invented(schema: dict[str, Any], seed: str = "1") -> Any:
    """Return data for a schema that stands alone."""
    return generate_value(schema, {}, seed, "here")


@pytest.mark.parametrize("operation", ["listToys", "bestToy", "getToy"])
def test_invented_answers_hold_against_the_spec(operation: str, spec: Spec) -> None:
    """The mock never gives an answer that its own validator refuses."""
    status, media_type, body = synthesise(spec, spec.operations[operation], "7")
    headers = [(b"content-type", str(media_type).encode())]
    assert Validator(spec).answer(spec.operations[operation], status, headers, body) == ()


def test_an_example_is_taken_as_it_stands(spec: Spec) -> None:
    """What the author of the spec wrote is better than what we could invent."""
    status, _, body = synthesise(spec, spec.operations["makeToy"], "7")
    assert (status, orjson.loads(body)) == (201, {"name": "train", "parts": [{"id": "wheel"}]})


def test_an_example_that_breaks_its_schema_is_refused(tmp_path: Path) -> None:
    """The spec contradicts itself, and the complaint says where."""
    spec = loaded(put(small(), "components>examples>train>value", {"name": ""}), tmp_path)
    with pytest.raises(SpecError, match=r"makeToy, answer 201: its example first breaks its schema: \$"):
        synthesise(spec, spec.operations["makeToy"], "7")


def test_the_lowest_success_is_answered(tmp_path: Path) -> None:
    """A refusal is never invented."""
    document = put(small(), "paths>/v1/toys/best>get>responses>202", {"description": "x"})
    spec = loaded(put(document, "paths>/v1/toys/best>get>responses>400", {"description": "x"}), tmp_path)
    assert synthesise(spec, spec.operations["bestToy"], "7")[0] == 200


def test_an_answer_without_a_declared_body_is_empty(spec: Spec) -> None:
    """204 needs no data."""
    assert synthesise(spec, spec.operations["breakToy"], "7") == (204, None, b"")


def test_a_stream_is_answered_with_one_event(spec: Spec) -> None:
    """The fields of the event object become the lines of the event; its data is JSON of the content schema."""
    _, media_type, body = synthesise(spec, spec.operations["watchToy"], "7")
    assert (media_type, body[:6], body[-2:]) == ("text/event-stream", b"data: ", b"\n\n")
    assert Validator(spec).event(spec.operations["watchToy"], body[6:-2]) == ()


def test_a_text_is_answered_as_it_is(tmp_path: Path) -> None:
    """Only JSON has quotes around a text."""
    spec = loaded(put(small(), BEST, {"text/plain": {"schema": {"const": "best"}}}), tmp_path)
    assert synthesise(spec, spec.operations["bestToy"], "7") == (200, "text/plain", b"best")


def test_a_schema_that_nothing_fits_is_refused_with_its_place(tmp_path: Path) -> None:
    """The author is told which answer needs an example."""
    impossible = {"application/json": {"schema": {"type": "string", "minLength": 3, "maxLength": 2}}}
    spec = loaded(put(small(), BEST, impossible), tmp_path)
    with pytest.raises(SpecError, match="bestToy, answer 200: no data could be generated, add an `example`"):
        synthesise(spec, spec.operations["bestToy"], "7")


def test_the_same_seed_gives_the_same_bytes(spec: Spec) -> None:
    """In this process; the next test asks another one."""
    operation = spec.operations["listToys"]
    assert synthesise(spec, operation, "7") == synthesise(spec, operation, "7")
    assert synthesise(spec, operation, "7") != synthesise(spec, operation, "8")


def test_the_same_seed_gives_the_same_bytes_in_every_process() -> None:
    """Neither the order of a set nor the time of day shows in what is invented."""
    code = (
        "import sys\n"
        "from viralsync_mock.openapi.spec import load_spec\n"
        "from viralsync_mock.generation.response import generate_value\n"
        "document = load_spec(sys.argv[1]).document\n"
        "print(generate_value({'$ref': '#/components/schemas/JobPage'}, document, '7', ''))"
    )
    texts = {
        subprocess.run(
            [sys.executable, "-c", code, str(REAL)],
            env={"PYTHONHASHSEED": hash_seed},
            capture_output=True,
            check=True,
        ).stdout
        for hash_seed in ("1", "2")
    }
    assert len(texts) == 1


def test_faker_is_not_imported_before_it_is_needed() -> None:
    """It would make up most of the start-up, and most runs never need it."""
    code = "import viralsync_mock.generation.response, sys; print('faker' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert done.stdout == b"False\n"


@pytest.mark.parametrize("name", list(load_spec(REAL).document["components"]["schemas"]))
def test_every_schema_of_the_real_spec_can_be_invented(name: str) -> None:
    """`generate_value` validates what it returns, so that a return is a proof."""
    assert generate_value({"$ref": f"#/components/schemas/{name}"}, load_spec(REAL).document, "7", name) is not None


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string", "format": kind}
        for kind in (
            *("date-time", "date", "time", "duration", "uuid", "email", "idn-email", "uri", "iri", "uri-reference"),
            *("hostname", "ipv4", "ipv6", "json-pointer", "relative-json-pointer", "regex", "uri-template", "byte"),
        )
    ],
)
def test_every_format_can_be_invented(schema: dict[str, Any]) -> None:
    """Formats are asserted by the validation of the result."""
    assert isinstance(invented(schema), str)


@pytest.mark.parametrize(
    ("name", "sign"),
    [
        ("email", "@example.com"),
        ("contactEmail", "@example.com"),
        ("avatar_url", "https://example.com/"),
        ("fileName", ".mp4"),
        ("description", "."),
        ("createdAt", "2026-"),
        ("fullName", " "),
    ],
)
def test_the_name_of_a_property_says_what_it_holds(name: str, sign: str) -> None:
    """The longest known ending counts: `fileName` is not a person's name."""
    assert sign in invented({"type": "object", "required": [name], "properties": {name: {"type": "string"}}})[name]


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"const": 5}, 5),
        ({"enum": ["a"]}, "a"),
        ({"type": "string", "default": "a"}, "a"),
        ({"type": "string", "examples": ["a"], "default": "b"}, "a"),
        ({"type": "string", "default": "a", "minLength": 2, "pattern": "^bb$"}, "bb"),
        ({"type": "null"}, None),
        ({"type": "integer", "minimum": 3, "maximum": 3}, 3),
        ({"type": "integer", "exclusiveMinimum": 3, "exclusiveMaximum": 5}, 4),
        ({"type": "number", "minimum": 0.3, "maximum": 0.5, "multipleOf": 0.2}, 0.4),
        ({"type": "integer", "minimum": 1, "maximum": 5, "multipleOf": 1.5}, 3),
        ({"type": "number", "minimum": 1e300, "maximum": 1e300}, 1e300),
        ({"type": "array", "prefixItems": [{"const": 1}, {"const": 2}], "items": False}, [1, 2]),
        ({"type": "array", "contains": {"const": 7}, "maxItems": 1}, [7]),
        ({"type": "integer", "minimum": 4, "exclusiveMaximum": 5}, 4),
        ({"type": "integer", "minimum": 4, "maximum": 4, "exclusiveMaximum": 9}, 4),
        ({"type": "integer", "maximum": 4, "minimum": 4, "exclusiveMinimum": -9}, 4),
        ({"type": "string", "pattern": "^a*$", "minLength": 3, "maxLength": 3}, "aaa"),
        ({"type": "object", "required": ["a"], "additionalProperties": {"const": 1}}, {"a": 1}),
        ({"type": "object", "properties": {"a": {"const": 1}}, "maxProperties": 0}, {}),
        ({"type": "object", "properties": {"a": False, "b": {"const": 1}}}, {"b": 1}),
        ({"type": "object", "properties": {"a": {"const": 1}}, "not": {"required": ["a"]}}, {}),
        ({"allOf": [{"type": "number", "minimum": 2}, {"type": "integer", "maximum": 2}]}, 2),
        ({"allOf": [{"properties": {"a": {"type": "integer"}}, "type": "object", "required": ["a"]},
                    {"properties": {"a": {"enum": [7]}}}]}, {"a": 7}),
        ({"oneOf": [{"const": 1}, {"const": 2}], "minimum": 2}, 2),
        ({"anyOf": [False, {"const": 2}]}, 2),
        ({"anyOf": [{"const": 1}, {"const": 2}], "oneOf": [{"const": 2}, {"const": 3}]}, 2),
    ],
)  # fmt: skip
def test_a_schema_with_one_answer_gets_it(schema: dict[str, Any], value: Any) -> None:
    """Constants, bounds, multiples, merged and chosen branches."""
    assert invented(schema) == value


def test_a_schema_that_refers_to_itself_ends() -> None:
    """What is optional is left out far down, and a branch without a reference is preferred."""
    node = {
        "type": "object",
        "required": ["next", "children"],
        "properties": {
            "next": {"anyOf": [{"$ref": "#/components/schemas/Node"}, {"type": "null"}]},
            "children": {"type": "array", "items": {"$ref": "#/components/schemas/Node"}},
            "more": {"$ref": "#/components/schemas/Node"},
        },
    }
    document = {"components": {"schemas": {"Node": node}}}
    value = generate_value({"$ref": "#/components/schemas/Node"}, document, "7", "here")
    assert len(orjson.dumps(value)) < 200_000


def test_a_schema_that_requires_itself_is_refused() -> None:
    """No finite value fits."""
    node = {"type": "object", "required": ["next"], "properties": {"next": {"$ref": "#/components/schemas/Node"}}}
    with pytest.raises(SpecError, match="requires itself without an end"):
        generate_value({"$ref": "#/components/schemas/Node"}, {"components": {"schemas": {"Node": node}}}, "7", "here")


def test_items_differ_where_one_property_must() -> None:
    """`x-unique-by` is kept although the example of the property is the same for each item."""
    item = {"type": "object", "required": ["id"], "properties": {"id": {"type": "string", "examples": ["a"]}}}
    found = invented({"type": "array", "items": item, "minItems": 3, "x-unique-by": "id"})
    assert len({each["id"] for each in found}) == len(found) >= 3
    assert found[0] == {"id": "a"}


def test_items_differ_where_all_must() -> None:
    """Items are drawn again until they do."""
    found = invented({"type": "array", "items": {"enum": [1, 2, 3]}, "uniqueItems": True, "minItems": 3})
    assert sorted(found) == [1, 2, 3]


def test_a_pattern_in_the_dialect_of_the_validator_is_matched() -> None:
    """`\\p{Lu}` is no pattern of Python, and a legal one of JSON Schema."""
    assert invented({"type": "string", "pattern": r"^\p{Lu}+$"}).isupper()


def test_a_pattern_without_a_text_is_refused() -> None:
    """The message says what is not supported, and asks for an example."""
    with pytest.raises(SpecError, match=r"add an `example`: no text can be generated .*: \\1 is not supported"):
        invented({"type": "string", "pattern": r"^(a)\1$"})


def test_an_example_stands_in_for_a_pattern() -> None:
    """What cannot be generated can be written."""
    assert invented({"type": "string", "pattern": r"^(a)\1$", "example": "aa"}) == "aa"
    assert invented({"type": "string", "pattern": r"^(a)\1$", "examples": ["aa"]}) == "aa"


def test_flattening_ends_where_a_schema_contains_itself() -> None:
    """A circle of `allOf` says nothing more the second time."""
    document = {"components": {"schemas": {"A": {"allOf": [{"$ref": "#/components/schemas/A"}], "minimum": 1}}}}
    assert flat({"$ref": "#/components/schemas/A"}, document) == {"minimum": 1}


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [
        ({"minimum": 1, "maximum": 9}, {"minimum": 2, "maximum": 8}, {"minimum": 2, "maximum": 8}),
        ({"type": "number"}, {"type": ["integer", "null"]}, {"type": ["integer"]}),
        ({"required": ["a"]}, {"required": ["b", "a"]}, {"required": ["a", "b"]}),
        ({"type": "integer"}, {"type": ["number", "string"]}, {"type": ["integer"]}),
        ({"type": ["string", "number"]}, {"type": "number"}, {"type": ["number"]}),
        ({"multipleOf": 4}, {"multipleOf": 6}, {"multipleOf": 12}),
        ({"multipleOf": 0.5}, {"multipleOf": 2}, {"multipleOf": 0.5}),
        ({"properties": {"a": {}}}, {"properties": {"b": True}}, {"properties": {"a": {}, "b": True}}),
        ({"items": {"minimum": 1}}, {"items": {}}, {"items": {"allOf": [{"minimum": 1}, {}]}}),
        ({"enum": [1, 2]}, {"enum": [2, 3]}, {"enum": [2]}),
        ({"additionalProperties": False}, {"additionalProperties": {}}, {"additionalProperties": False}),
        ({"title": "a"}, {"title": "b", "type": "null"}, {"title": "a", "type": "null"}),
    ],
)
def test_two_schemas_are_merged_into_what_both_allow(
    one: dict[str, Any], other: dict[str, Any], both: dict[str, Any]
) -> None:
    """The narrower of two keywords; of annotations, the first."""
    assert merged(one, other) == both


def test_a_number_is_drawn_from_the_whole_of_its_range() -> None:
    """Not always the same end of it."""
    fakes = FakeValues("7")
    drawn = {fakes.number({"minimum": 1, "maximum": 4}, whole=True) for _ in range(100)}
    assert drawn == {1, 2, 3, 4}


numbers = st.integers(-1000, 1000)
leaves = st.one_of(
    st.sampled_from([{"type": "boolean"}, {"type": "null"}, {"type": ["string", "null"]}, {"const": 1}, {}]),
    st.lists(st.integers() | st.text(max_size=5), min_size=1, max_size=3).map(lambda values: {"enum": values}),
    st.tuples(numbers, st.integers(1, 50), st.sampled_from(["integer", "number"])).map(
        lambda drawn: {"type": drawn[2], "minimum": drawn[0], "maximum": drawn[0] + drawn[1]}
    ),
    st.tuples(numbers, st.integers(2, 50), st.sampled_from(["integer", "number"])).map(
        lambda drawn: {"type": drawn[2], "exclusiveMinimum": drawn[0], "exclusiveMaximum": drawn[0] + drawn[1]}
    ),
    st.tuples(st.sampled_from(["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"]), numbers).map(
        lambda drawn: {"type": "number", drawn[0]: drawn[1], "multipleOf": 0.5}
    ),
    st.tuples(st.integers(0, 20), st.integers(0, 20)).map(
        lambda drawn: {"type": "string", "minLength": drawn[0], "maxLength": sum(drawn)}
    ),
    st.sampled_from(["^[a-z]{3,5}$", "[0-9]+", "^#[0-9a-fA-F]{6}$", r"^\d{4}-\d\d$", "^(a|b)c?$"]).map(
        lambda pattern: {"type": "string", "pattern": pattern}
    ),
)


def arrays(items: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    """Return schemas of arrays."""
    return st.tuples(items, st.integers(0, 3), st.integers(0, 3)).map(
        lambda drawn: {"type": "array", "items": drawn[0], "minItems": drawn[1], "maxItems": sum(drawn[1:])}
    )


def objects(values: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    """Return schemas of objects, open and closed ones."""
    names = st.sampled_from(["id", "email", "title", "count", "city"])
    return st.tuples(st.dictionaries(names, values, max_size=3), st.booleans(), st.lists(names, max_size=1)).map(
        lambda drawn: {
            "type": "object",
            "properties": drawn[0],
            "required": [name for name in drawn[2] if name in drawn[0]],
            "additionalProperties": drawn[1],
        }
    )


def branches(values: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    """Return schemas that choose or combine."""
    return st.one_of(
        st.lists(values, min_size=1, max_size=3).map(lambda drawn: {"anyOf": drawn}),
        values.map(lambda drawn: {"allOf": [drawn, drawn]}),
        values.map(lambda drawn: {"oneOf": [drawn, {"type": "string", "const": "\0other"}]}),
    )


schemas = st.recursive(leaves, lambda inner: arrays(inner) | objects(inner) | branches(inner), max_leaves=6)


@given(schemas, st.integers(0, 5))
def test_whatever_is_invented_fits_its_schema(schema: dict[str, Any], seed: int) -> None:
    """For schemas of every kind, and the same seed gives the same value."""
    value = invented(schema, str(seed))
    assert Schema(schema, {}).accepts(value)
    assert value == invented(schema, str(seed))
