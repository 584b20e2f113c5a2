"""Requests and answers are held against the spec; each violation names its place and what was expected."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.paths import ROOT
from tests.support.small_spec import loaded, put, small

from viralsync_mock.errors import SpecError
from viralsync_mock.openapi.spec import Spec, load_spec
from viralsync_mock.validation.body import MAX_DEPTH, MAX_EXPLAINED
from viralsync_mock.validation.schema import MAX_LISTED, Schema, Violation
from viralsync_mock.validation.validator import ValidationFailed, Validator

REAL = ROOT / "openapi.yaml"
TOY: dict[str, Any] = {"name": "train", "parts": [{"id": "wheel"}]}
JSON_HEADER = (b"Content-Type", b"application/json")


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> Spec:
    """The small spec, as it is."""
    return loaded(small(), tmp_path_factory.mktemp("spec"))


@pytest.fixture(scope="module")
def validator(spec: Spec) -> Validator:
    """A validator of the small spec."""
    return Validator(spec)


def body(validator: Validator, raw: bytes | dict[str, Any], content_type: str | None = "application/json") -> Any:
    """Return a body of `makeToy` as it is read."""
    sent = raw if isinstance(raw, bytes) else orjson.dumps(raw)
    return validator.body(validator.spec.operations["makeToy"], sent, content_type, require_content_type=True)


def refusal(
    validator: Validator, raw: bytes | dict[str, Any], content_type: str | None = "application/json"
) -> list[str]:
    """Return the violations of a body of `makeToy`."""
    with pytest.raises(ValidationFailed) as caught:
        body(validator, raw, content_type)
    return [str(each) for each in caught.value.violations]


def parameters(validator: Validator, query: bytes, *headers: tuple[bytes, bytes]) -> dict[str, Any]:
    """Return the parameters of `listToys`."""
    return validator.parameters(validator.spec.operations["listToys"], query, headers, {})


def parameter_refusal(validator: Validator, query: bytes, *headers: tuple[bytes, bytes]) -> list[str]:
    """Return the violations of the parameters of `listToys`."""
    with pytest.raises(ValidationFailed) as caught:
        parameters(validator, query, *headers)
    return [str(each) for each in caught.value.violations]


def test_a_body_that_fits_is_returned(validator: Validator) -> None:
    """The parsed JSON, unknown fields included."""
    assert body(validator, {**TOY, "unknown": 1}) == {**TOY, "unknown": 1}


@pytest.mark.parametrize(
    ("change", "violation"),
    [
        ({"name": None}, "$.name: expected a string, got null"),
        ({"name": ""}, "$.name: expected at least 1 character, got 0"),
        ({"colour": "gren"}, '$.colour: expected one of "red", "green", "blue", got "gren". Did you mean "green"?'),
        ({"colour": 5}, '$.colour: expected one of "red", "green", "blue", got 5'),
        ({"speed": 5}, '$.speed: expected one of "slow", "quick", got 5'),
        ({"twin": 5}, "$.twin: expected an object, got 5"),
        ({"price": 0}, "$.price: expected more than 0, got 0"),
        ({"madeAt": "today"}, '$.madeAt: expected a valid date-time, got "today"'),
        ({"twin": {"name": "x", "parts": []}}, "$.twin.parts: expected at least 1 item, got 0"),
        ({"parts": [{"id": "a"}, {"size": 1.5, "id": "b"}]}, "$.parts[1].size: expected an integer, got 1.5"),
        ({"parts": [{}]}, "$.parts[0].id: required, but missing"),
        ({"parts": [{"ids": 1}]}, '$.parts[0].id: required, but missing; got "ids". Did you mean "id"?'),
        ({"name": "x" * 80, "parts": "y" * 80}, f'$.parts: expected an array, got "{"y" * 58}…'),
    ],
)
def test_a_violation_names_its_place_what_was_expected_and_what_came(
    change: dict[str, Any], violation: str, validator: Validator
) -> None:
    """One sentence per violation, with the nearest valid word where there is one."""
    assert refusal(validator, {**TOY, **change}) == [violation]


def test_a_property_that_the_schema_knows_is_not_taken_for_a_misspelt_one(tmp_path: Path) -> None:
    """`names` is near `name`, but it is a property of its own."""
    document = put(small(), "components>schemas>Toy>properties>names", {"type": "string"})
    assert refusal(Validator(loaded(document, tmp_path)), {"names": "x", "parts": TOY["parts"]}) == [
        "$.name: required, but missing"
    ]


def test_every_violation_is_listed(validator: Validator) -> None:
    """A client's author sees all at once, in one answer."""
    found = refusal(validator, {"name": 1, "price": -1, "parts": [{"id": "a"}, {"id": "a"}]})
    assert [each.split(":")[0] for each in found] == ["$.name", "$.price", "$.parts[1].id"]


def test_the_list_ends_after_twenty(validator: Validator) -> None:
    """The text of an error stays readable."""
    found = refusal(validator, {**TOY, "parts": [{}] * 25})
    assert (len(found), found[-1]) == (MAX_LISTED + 1, "$: and 5 more")


def test_a_list_of_twenty_is_whole(validator: Validator) -> None:
    """Nothing more is announced where nothing more is."""
    assert len(refusal(validator, {**TOY, "parts": [{}] * MAX_LISTED})) == MAX_LISTED


def test_of_a_huge_body_only_the_first_violation_is_told(validator: Validator) -> None:
    """To find all of them could take seconds, in which nobody else is served."""
    raw = orjson.dumps({**TOY, "parts": [{}] * MAX_EXPLAINED})
    assert refusal(validator, raw) == ["$.parts[0].id: required, but missing"]


@pytest.mark.parametrize(
    ("parts", "found"),
    [
        ([{"id": "a"}, {"id": "b"}, {"id": "a"}], ['$.parts[2].id: duplicate of $.parts[0].id ("a")']),
        ([{"id": "a"}] * 3, [f'$.parts[{at}].id: duplicate of $.parts[0].id ("a")' for at in (1, 2)]),
    ],
)
def test_what_must_be_unique_names_both_places(parts: list[Any], found: list[str], validator: Validator) -> None:
    """`x-unique-by` compares one property of all items of an array."""
    assert refusal(validator, {**TOY, "parts": parts}) == found


def test_what_must_be_unique_is_found_below_other_arrays(tmp_path: Path) -> None:
    """The places are found through references, items and branches."""
    document = put(small(), "components>schemas>Toy>properties>twin", {"type": "string"})
    sets = {"type": "array", "items": {"anyOf": [{"type": "null"}, {"$ref": "#/components/schemas/Toy"}]}}
    put(document, "paths>/v1/toys>post>requestBody>content>application/json>schema", sets)
    raw = orjson.dumps([TOY, None, {**TOY, "parts": [{"id": "a"}, {"id": "a"}]}])
    found = refusal(Validator(loaded(document, tmp_path)), raw)
    assert found == ['$[2].parts[1].id: duplicate of $[2].parts[0].id ("a")']


@pytest.mark.parametrize(
    ("raw", "found"),
    [
        (b'[[{"id": "a"}, {"id": "a"}]]', ["$: expected an object, got a list of 1"]),
        (b'{"name": "x", "parts": [1, 1]}', [f"$.parts[{at}]: expected an object, got 1" for at in (0, 1)]),
        (b'{"name": "x", "parts": {"id": "a"}}', ["$.parts: expected an array, got an object of 1"]),
        (b'{"name": "x", "parts": [["id"]]}', ["$.parts[0]: expected an object, got a list of 1"]),
    ],
)
def test_what_must_be_unique_is_not_sought_in_another_shape(raw: bytes, found: list[str], validator: Validator) -> None:
    """The schema complains about the shape, and that is enough."""
    assert refusal(validator, raw) == found


def test_a_schema_that_refers_to_itself_is_searched_once(validator: Validator) -> None:
    """Uniqueness holds at the first level of a schema without an end; deeper ones are not followed."""
    same = [{"id": "a"}, {"id": "a"}]
    assert body(validator, {**TOY, "twin": {**TOY, "parts": same}})["twin"]["parts"] == same


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "expected a JSON body, got nothing"),
        (b'{"a":1,\n "b":}', "the body is not JSON: unexpected character, expected a JSON value, at line 2 column 6"),
        (b'{"a":NaN}', "the body is not JSON: JSON has no NaN, at line 1 column 6"),
        (b"[-Infinity]", "the body is not JSON: JSON has no -Infinity, at line 1 column"),
        (b'{"a":"\xff"}', "the body is not UTF-8: byte 0xff at position 6; send UTF-8"),
        (b"\xff\xfe{\x00", "the body is not JSON: it begins with UTF-16 or UTF-32; send UTF-8"),
        (b"\xef\xbb\xbf{}", "the body is not JSON: it begins with a byte order mark; send UTF-8 without"),
        ("{}".encode("utf-16-be"), "the body is not JSON: it looks like UTF-16 or UTF-32; send UTF-8"),
        (b"1e999", "the body is not JSON: number is infinity"),
        (b"9" * 400, "the body is not JSON: number is infinity"),
        (b'"\\ud800"', "the body is not JSON: no low surrogate in string"),
        (b"[" * 5000, "the body is not JSON: depth limit exceeded"),
        (b"[" * 201 + b"]" * 201, f"expected at most {MAX_DEPTH} levels of nesting, got more"),
        (b'{"kind":', "the body is not JSON: unexpected end of data, at line 1 column 9"),
    ],
)
def test_what_is_not_json_is_told_with_line_and_column(raw: bytes, message: str, validator: Validator) -> None:
    """Other encodings, words that JSON lacks, and sizes that nobody can handle have sentences of their own."""
    (found,) = refusal(validator, raw)
    assert found.startswith(f"$: {message}")


def test_a_body_as_deep_as_allowed_is_read(validator: Validator) -> None:
    """Free-form parts may be nested; what is read can be written again, inside a list of jobs too."""
    levels = MAX_DEPTH - 2
    notes = json.loads('{"a":' * levels + "1" + "}" * levels)
    assert orjson.dumps([[[body(validator, {**TOY, "notes": notes})]]])


@given(st.binary(max_size=80))
def test_any_bytes_are_refused(validator: Validator, raw: bytes) -> None:
    """Whatever is sent that is no toy, nothing but `Invalid` comes out."""
    with pytest.raises(ValidationFailed):
        body(validator, raw)


@pytest.mark.parametrize(
    "content_type", ["application/json; charset=utf-8", "Application/JSON", "application/json;x=y"]
)
def test_json_is_accepted_with_parameters_of_its_media_type(content_type: str, validator: Validator) -> None:
    """The name of the media type knows no case, and UTF-8 is the only charset."""
    assert body(validator, TOY, content_type) == TOY


@pytest.mark.parametrize(
    ("content_type", "message"),
    [
        (None, "expected application/json, got nothing"),
        ("text/plain", 'expected application/json, got "text/plain"'),
        ("application/jsonx", "expected application/json"),
        ("multipart/form-data", "expected application/json"),
        ("application/json; charset=latin-1", 'expected charset=utf-8, got "latin-1": send UTF-8'),
    ],
)
def test_another_media_type_is_refused(content_type: str | None, message: str, validator: Validator) -> None:
    """The place is the header."""
    (found,) = refusal(validator, TOY, content_type)
    assert found.startswith(f"header.content-type: {message}")


def test_the_media_type_may_be_left_unasked(validator: Validator) -> None:
    """Under the other reading of the docs a body only has to be JSON."""
    make = validator.spec.operations["makeToy"]
    assert validator.body(make, orjson.dumps(TOY), "text/plain", require_content_type=False) == TOY


def test_a_body_that_nobody_asked_for_is_ignored(validator: Validator) -> None:
    """An operation without a body takes anything."""
    assert validator.body(validator.spec.operations["getToy"], b"\xff", None, require_content_type=True) is None


def test_an_optional_body_may_be_left_out(tmp_path: Path) -> None:
    """Nothing sent is nothing read."""
    document = put(small(), "paths>/v1/toys>post>requestBody>required", False)
    assert body(Validator(loaded(document, tmp_path)), b"", None) is None


@pytest.mark.parametrize(
    ("query", "found"),
    [
        (b"", {"limit": 25}),
        (b"limit=10&colour=red", {"limit": 10, "colour": "red"}),
        (b"limit=%31%30", {"limit": 10}),
        (b"tag=a&tag=b+c", {"limit": 25, "tag": ["a", "b c"]}),
        (b"tag=%C3%A9%00", {"limit": 25, "tag": ["é\0"]}),
        (b"weight=1.5&boxed=true", {"limit": 25, "weight": 1.5, "boxed": True}),
        (b"boxed=false", {"limit": 25, "boxed": False}),
        (b"other=%zz&%ff=1&&=&x", {"limit": 25}),
        (b"li%6Dit=7", {"limit": 7}),
    ],
)
def test_parameters_are_typed_and_defaults_filled_in(query: bytes, found: dict[str, Any], validator: Validator) -> None:
    """Unknown parameters are ignored, absent ones without a default are left out."""
    assert parameters(validator, query) == found


@pytest.mark.parametrize(
    ("query", "violation"),
    [
        (b"limit=abc", 'query.limit: expected an integer, got "abc"'),
        (b"limit=", 'query.limit: expected an integer, got ""'),
        (b"limit=1.0", 'query.limit: expected an integer, got "1.0"'),
        (b"limit=%2B5", 'query.limit: expected an integer, got "+5"'),
        ("limit=٣".encode(), 'query.limit: expected an integer, got "٣"'),
        (b"limit=0", "query.limit: expected at least 1, got 0"),
        (b"limit=101", "query.limit: expected at most 100, got 101"),
        (b"limit=1&limit=2", "query.limit: expected one value, got 2"),
        (b"colour=gren", 'query.colour: expected one of "red", "green", "blue", got "gren". Did you mean "green"?'),
        (b"tag=a&tag=", "query.tag[1]: expected at least 1 character, got 0"),
        (b"tag=1&tag=2&tag=3&tag=4", "query.tag: expected at most 3 items, got 4"),
        (b"tag=%zz", 'query.tag: expected two hexadecimal digits after each %, got "%zz"'),
        (b"tag=%ff", "query.tag: expected UTF-8, got the byte 0xff"),
        (b"weight=1e999", 'query.weight: expected a number or null, got "1e999"'),
        (b"boxed=yes", 'query.boxed: expected a boolean, got "yes"'),
    ],
)
def test_a_parameter_that_does_not_fit_is_named(query: bytes, violation: str, validator: Validator) -> None:
    """A value is refused, never clamped or guessed."""
    assert parameter_refusal(validator, query) == [violation]


def test_all_parameters_that_do_not_fit_are_listed(validator: Validator) -> None:
    """Query and headers in one answer."""
    found = parameter_refusal(validator, b"limit=x&boxed=x", (b"x-trace", b"longer"))
    assert [each.split(":")[0] for each in found] == ["query.limit", "query.boxed", "header.X-Trace"]


def test_headers_are_parameters_by_their_declared_name(validator: Validator) -> None:
    """The server sends names in lower case; handlers look for what the spec says."""
    assert parameters(validator, b"", (b"x-trace", b"abc"), (b"host", b"x")) == {"limit": 25, "X-Trace": "abc"}


def test_a_required_parameter_is_missed(tmp_path: Path) -> None:
    """Required and absent is a violation of its place."""
    validator = Validator(loaded(put(small(), "paths>/v1/toys>get>parameters>1>required", True), tmp_path))
    assert parameter_refusal(validator, b"") == ["query.colour: required, but missing"]


def test_path_parameters_are_held_against_their_schema(validator: Validator) -> None:
    """The values that the route gave."""
    get_toy = validator.spec.operations["getToy"]
    assert validator.parameters(get_toy, b"", [], {"toyId": "12"}) == {"toyId": "12"}
    with pytest.raises(ValidationFailed, match=r"path\.toyId: expected at least 2 characters, got 1"):
        validator.parameters(get_toy, b"", [], {"toyId": "1"})


def test_an_operation_without_parameters_has_none(validator: Validator) -> None:
    """Nothing is read at all."""
    assert validator.parameters(validator.spec.operations["makeToy"], b"%zz", [], {}) == {}


@given(st.binary(max_size=40).map(lambda raw: b"limit=" + raw))
def test_any_query_is_read_or_refused(validator: Validator, query: bytes) -> None:
    """Whatever stands in a query, the answer is a number from 1 to 100 or `Invalid`."""
    try:
        found = parameters(validator, query)
    except ValidationFailed:
        found = {"limit": 1}
    assert 1 <= found["limit"] <= 100


def test_the_real_spec_takes_a_movie_and_its_own_examples() -> None:
    """Every example of every answer fits the schemas, closed too; headers are put aside."""
    validator = Validator(load_spec(REAL))
    found = [
        (operation.id, violation)
        for operation in validator.spec.operations.values()
        for response in operation.responses.values()
        for example in response.examples.values()
        if response.media_type == "application/json"
        for violation in validator.answer(operation, response.status, [JSON_HEADER], orjson.dumps(example))
        if not violation.location.startswith("header.")
    ]
    assert found == []


def answer(validator: Validator, operation: str, status: int, value: Any, *headers: tuple[bytes, bytes]) -> list[str]:
    """Return what an answer breaks."""
    raw = value if isinstance(value, bytes) else orjson.dumps(value)
    found = validator.answer(validator.spec.operations[operation], status, headers or (JSON_HEADER,), raw)
    return [str(each) for each in found]


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (TOY, []),
        ({**TOY, "notes": {"free": {"form": 1}}}, []),
        ({**TOY, "colour": None}, []),
        ({**TOY, "tiwn": 1}, ['$.tiwn: not a property that the spec knows. Did you mean "twin"?']),
        ({**TOY, "twin": {**TOY, "x": 1}}, ["$.twin.x: not a property that the spec knows"]),
        ({**TOY, "parts": [{"id": "a", "y": 1}]}, ["$.parts[0].y: not a property that the spec knows"]),
        ({"parts": [{"id": "a"}], "z": 1}, ["$.name: required, but missing"]),
    ],
)
def test_an_answer_may_hold_nothing_that_the_spec_does_not_know(
    value: Any, found: list[str], validator: Validator
) -> None:
    """Objects are closed at every level, except the free-form ones."""
    assert answer(validator, "getToy", 200, value) == found


def test_an_answer_with_an_undeclared_status_is_told(validator: Validator) -> None:
    """Each status that can occur must stand in the spec."""
    assert answer(validator, "makeToy", 200, TOY) == ["status: expected one that makeToy declares (201, 400), got 200"]


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        ([JSON_HEADER, (b"location", b"/v1/toys/1")], []),
        ([(b"content-type", b"Application/JSON; charset=utf-8"), (b"Location", b"/x")], []),
        ([JSON_HEADER], ["header.Location: required, but missing"]),
        ([JSON_HEADER, (b"location", b"a b")], ['header.Location: expected a valid uri-reference, got "a b"']),
        ([(b"location", b"/x")], ["header.content-type: expected application/json, got nothing"]),
        (
            [(b"content-type", b"text/html"), (b"location", b"/x")],
            ["header.content-type: expected application/json, got text/html"],
        ),
    ],
)
def test_the_headers_of_an_answer_are_those_declared(
    headers: list[tuple[bytes, bytes]], found: list[str], validator: Validator
) -> None:
    """Required headers are there and fit; the media type is the declared one."""
    assert answer(validator, "makeToy", 201, TOY, *headers) == found


def test_an_answer_without_a_declared_body_has_none(validator: Validator) -> None:
    """204 is empty."""
    assert answer(validator, "breakToy", 204, b"") == []
    assert answer(validator, "breakToy", 204, b"x") == ["$: expected no body, got 1 bytes"]


def test_an_answer_that_is_not_json_is_told(validator: Validator) -> None:
    """As for a request."""
    assert answer(validator, "getToy", 200, b"{") == [
        "$: the body is not JSON: unexpected end of data, at line 1 column 2"
    ]


def test_the_body_of_a_stream_is_not_looked_at_but_its_events_are(validator: Validator) -> None:
    """`contentSchema` describes the data of one event; its objects are closed too."""
    watch = validator.spec.operations["watchToy"]
    assert answer(validator, "watchToy", 200, b": hello\n\n", (b"content-type", b"text/event-stream")) == []
    assert validator.event(watch, orjson.dumps(TOY)) == ()
    assert validator.event(watch, orjson.dumps({**TOY, "x": 1})) == (
        Violation("$.x", "not a property that the spec knows"),
    )


def test_an_operation_without_a_stream_has_no_events(validator: Validator) -> None:
    """To ask is a mistake of the caller."""
    with pytest.raises(SpecError, match="getToy has no answer of type text/event-stream"):
        validator.event(validator.spec.operations["getToy"], b"{}")


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("components>schemas>Part>properties>id>pattern", "("),
        ("components>schemas>Part>properties>id>minLength", "x"),
        ("paths>/v1/toys>get>parameters>0>schema>minimum", "x"),
        ("paths>/v1/toys>get>responses>200>content>application/json>schema>minItems", -1),
    ],
)
def test_a_schema_that_cannot_be_compiled_is_found_at_the_start(place: str, value: Any, tmp_path: Path) -> None:
    """Not by the first request that needs it."""
    with pytest.raises(SpecError, match="cannot be used"):
        Validator(loaded(put(small(), place, value), tmp_path))


@pytest.mark.parametrize(
    ("schema", "value", "message"),
    [
        ({"const": "movie"}, "moive", 'expected "movie", got "moive". Did you mean "movie"?'),
        ({"maximum": 5}, 6, "expected at most 5, got 6"),
        ({"exclusiveMaximum": 5}, 5, "expected less than 5, got 5"),
        ({"multipleOf": 2}, 3, "expected a multiple of 2, got 3"),
        ({"pattern": "^a"}, "b", 'expected text that matches ^a, got "b"'),
        ({"minProperties": 2}, {}, "expected at least 2 properties, got 0"),
        ({"uniqueItems": True}, [1, 1], "expected items that all differ, got a list of 2"),
        ({"not": {}}, 1, "{} is not allowed for 1"),
        (False, 1, "nothing may stand here, got 1"),
        ({"oneOf": [{}, True]}, 1, "1 is valid under more than one of the schemas listed in the 'oneOf' keyword"),
    ],
)
def test_each_keyword_has_its_sentence(schema: dict[str, Any] | bool, value: Any, message: str) -> None:
    """Expected first, then what came."""
    assert [each.message for each in Schema(schema, {}).violations(value)] == [message]


def test_of_several_branches_the_one_that_was_meant_is_explained() -> None:
    """The constant tells the branches apart, and the rest is told about that branch alone."""
    left = {"properties": {"a": {"const": "left"}}}
    right = {"properties": {"a": {"const": "right"}, "b": {"minimum": 1}, "c": {"minimum": 1}}}
    found = Schema({"oneOf": [left, right, {"type": "null"}]}, {}).violations({"a": "right", "b": 0, "c": 0})
    assert [each.location for each in found] == ["$.b", "$.c"]
