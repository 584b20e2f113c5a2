"""The nearest valid request is what was sent, mended where it breaks the spec and nowhere else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.paths import ROOT
from tests.support.small_spec import loaded, put, small

from viralsync_mock.inspection.nearest_valid import MAX_REPAIRS, nearest_body, nearest_query
from viralsync_mock.openapi.spec import Spec, load_spec
from viralsync_mock.validation.body import MAX_EXPLAINED
from viralsync_mock.validation.validator import ValidationFailed, Validator

REAL = ROOT / "openapi.yaml"
SCENE = {"id": "a", "duration": 3}
MOVIE: dict[str, Any] = {"kind": "movie", "projectId": "p", "movie": {"scenes": [SCENE]}}
MINIMAL: dict[str, Any] = {
    "kind": "movie",
    "projectId": "proj_demo01",
    "movie": {"scenes": [{"id": "only", "duration": 5}]},
}
TOY: dict[str, Any] = {"name": "bus", "parts": [{"id": "door"}]}
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@pytest.fixture(scope="module")
def validator() -> Validator:
    """A validator of the spec that is shipped."""
    return Validator(load_spec(REAL))


@pytest.fixture(scope="module")
def toys(tmp_path_factory: pytest.TempPathFactory) -> Validator:
    """A validator of a small spec, whose body has an example and a schema that refers to itself."""
    return with_toy({}, tmp_path_factory.mktemp("spec"))


def with_toy(changes: dict[str, Any], folder: Path, example: Any = TOY) -> Validator:
    """Return a validator of the small spec; a toy's schema has further keywords, the request an example."""
    document = small()
    document["components"]["schemas"]["Toy"].update(changes)
    media = document["paths"]["/v1/toys"]["post"]["requestBody"]["content"]["application/json"]
    media.update({"examples": {"bus": {"value": example}}} if example else {})
    return Validator(loaded(document, folder))


def mended(validator: Validator, sent: Any, operation: str = "submitRenderJob") -> Any:
    """Return the nearest body, once it is known that the spec takes it."""
    owner = validator.spec.operations[operation]
    found = nearest_body(validator, owner, sent if isinstance(sent, bytes) else orjson.dumps(sent))
    assert validator.body(owner, orjson.dumps(found), "application/json", require_content_type=True) == found
    return found


def movie(**changes: Any) -> dict[str, Any]:
    """Return a valid submission whose movie has other fields."""
    return {**MOVIE, "movie": {**MOVIE["movie"], **changes}}


def scene(**changes: Any) -> dict[str, Any]:
    """Return a valid submission whose only scene has other fields."""
    return movie(scenes=[{**SCENE, **changes}])


@pytest.mark.parametrize(
    ("sent", "nearest"),
    [
        (movie(width=99999, x=1), movie(width=3840, x=1)),
        (movie(width=1.5), movie(width=360)),
        (movie(fps="30"), movie(fps=30)),
        (movie(fps="300"), movie(fps=60)),
        (movie(fps=[]), movie(fps=30)),
        (movie(title=5), movie(title="5")),
        (movie(scenes=SCENE), movie()),
        (movie(scenes=[]), movie(scenes=MINIMAL["movie"]["scenes"])),
        (
            movie(scenes=[SCENE, SCENE, {**SCENE, "id": "a-2"}]),
            movie(scenes=[SCENE, {**SCENE, "id": "a-3"}, {**SCENE, "id": "a-2"}]),
        ),
        (scene(duration=0), scene(duration=1)),
        (scene(duration="2.5"), scene(duration=2.5)),
        (scene(bgColor="red"), scene(bgColor="#101820")),
        (scene(layers=[{"type": "vidoe", "src": 1}]), scene(layers=[{"type": "video", "src": 1}])),
        (scene(layers={"type": "TEXT"}), scene(layers=[{"type": "text"}])),
        ({**MOVIE, "kind": "moive"}, MOVIE),
        ({**MOVIE, "projectId": None}, {**MOVIE, "projectId": "proj_demo01"}),
        ({**MOVIE, "movie": orjson.dumps(MOVIE["movie"]).decode()}, MOVIE),
        ({**MOVIE, "callbackUrl": "ftp://x"}, {**MOVIE, "callbackUrl": "https://studio.example/hooks/viralsync"}),
        ({"projectId": "p", "Movie": 1, "movie": MOVIE["movie"]}, {**MOVIE, "Movie": 1}),
        (
            {**MOVIE, "renderOptions": {"requestedConcurrency": 99, "qualityPreset": "fsat", "y": []}},
            {**MOVIE, "renderOptions": {"requestedConcurrency": 32, "qualityPreset": "fast", "y": []}},
        ),
        (
            {**MOVIE, "renderOptions": {"requestedConcurrency": 2.6}},
            {**MOVIE, "renderOptions": {"requestedConcurrency": 3}},
        ),
    ],
)  # fmt: skip
def test_each_violation_is_mended_where_it_is(sent: Any, nearest: Any, validator: Validator) -> None:
    """Everything else stays as it was sent, and what is unknown too."""
    assert nearest == mended(validator, sent)


def test_a_value_under_a_misspelt_name_is_taken_for_the_one_that_is_missing(validator: Validator) -> None:
    """The misspelt property itself is unknown and stays."""
    sent = {"kind": "movie", "projectID": "mine", "movie": {"scenes": [SCENE]}}
    assert {**sent, "projectId": "mine"} == mended(validator, sent)


def test_an_example_further_up_stands_for_each_item(validator: Validator) -> None:
    """The third scene takes the length of the example's last."""
    sent = movie(scenes=[SCENE, {"id": "b"}, {"id": "c", "duration": None}])
    assert [each["duration"] for each in mended(validator, sent)["movie"]["scenes"]] == [3, 5, 5]


@pytest.mark.parametrize(
    "raw",
    [b"", b"{", b"[1]", b"5", b"null", b"\xff", orjson.dumps(movie(fps=0, pad="x" * MAX_EXPLAINED)),
     orjson.dumps(movie(scenes=[{}] * MAX_REPAIRS))],
)  # fmt: skip
def test_what_cannot_be_mended_in_short_gives_the_whole_example(raw: bytes, validator: Validator) -> None:
    """No JSON object, more than 32 KiB, or more than fifty repairs."""
    assert mended(validator, raw) == MINIMAL


def test_an_operation_without_a_body_has_no_nearest_one(validator: Validator) -> None:
    """Whatever was sent."""
    assert nearest_body(validator, validator.spec.operations["getMe"], b"{}") is None


@pytest.mark.parametrize(
    ("schema", "sent", "nearest"),
    [
        ({"additionalProperties": False}, {**TOY, "name": "my", "more": 1}, {**TOY, "name": "my"}),
        ({"patternProperties": {"^x": {"maximum": 3}}}, {**TOY, "x1": 4, "y": 4}, {**TOY, "x1": 3, "y": 4}),
        ({"minProperties": 4}, TOY, None),
        ({}, {**TOY, "colour": "gren"}, {**TOY, "colour": "green"}),
        ({}, {**TOY, "speed": None}, TOY),
        ({}, {**TOY, "twin": {**TOY, "name": 7}}, {**TOY, "twin": {**TOY, "name": "7"}}),
        ({}, {**TOY, "price": -1}, {**TOY, "price": 1}),
    ],
)
def test_other_keywords_are_mended_too(schema: dict[str, Any], sent: Any, nearest: Any, tmp_path: Path) -> None:
    """Unknown properties of a closed object are left out, a null too; what looks at the whole is not mended."""
    example = TOY if nearest else {**TOY, "a": 1, "b": 2}
    assert (nearest or example) == mended(with_toy(schema, tmp_path, example), sent, "makeToy")


@pytest.mark.parametrize(
    ("field", "sent", "nearest"),
    [
        ({"type": "integer", "exclusiveMinimum": 3}, 0, 4),
        ({"type": "number", "exclusiveMinimum": 0, "maximum": 0.5}, -1, 0.25),
        ({"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 0.5}, 7, 0.25),
        ({"type": "integer", "multipleOf": 5, "minimum": 12}, 3, 15),
        ({"type": "integer", "minimum": 1, "maximum": 9}, 1e300, 9),
        ({"type": "boolean"}, "True", True),
        ({"type": "string", "maxLength": 3}, "abcdef", "abc"),
        ({"type": "array", "uniqueItems": True}, [2, 1, 2], [2, 1]),
        ({"type": "array", "maxItems": 1}, [1, 2], [1]),
        ({"prefixItems": [{"const": 1}], "items": {"type": "string"}, "type": "array"}, [2, 3], [1, "3"]),
        ({"oneOf": [{"type": "null"}, {"type": "integer", "maximum": 3}]}, 5, 3),
        ({"oneOf": [False, {"type": "integer", "maximum": 3}]}, 5, 3),
        ({"const": {"a": 1}}, {"a": 2}, {"a": 1}),
        ({"type": "string", "default": "dflt", "pattern": "^d"}, "x", "dflt"),
    ],
)
def test_each_keyword_has_its_nearest_value(field: Any, sent: Any, nearest: Any, tmp_path: Path) -> None:
    """Bounds, multiples, lengths, words, branches."""
    document = put(small(), "components>schemas>Toy>properties>field", field)
    assert nearest == mended(Validator(loaded(document, tmp_path)), {**TOY, "field": sent}, "makeToy")["field"]


def test_without_an_example_values_are_made_from_the_schema(tmp_path: Path) -> None:
    """The required properties alone, and the whole body where that cannot be read."""
    validator = with_toy({}, tmp_path, example=None)
    assert sorted(mended(validator, {}, "makeToy")) == ["name", "parts"]
    assert mended(validator, b"{", "makeToy") == mended(validator, b"[", "makeToy")


@pytest.mark.parametrize(
    "field", [False, {"anyOf": [False, False]}, {"type": "string", "minLength": 2, "maxLength": 1}]
)
def test_where_nothing_fits_a_property_is_left_out(field: Any, tmp_path: Path) -> None:
    """One that is required leaves nothing that could be valid."""
    document = put(small(), "components>schemas>Toy>properties>never", field)
    assert mended(Validator(loaded(document, tmp_path)), {**TOY, "never": 5}, "makeToy") == TOY
    validator = Validator(loaded(put(document, "components>schemas>Toy>required", ["never"]), tmp_path))
    assert nearest_body(validator, validator.spec.operations["makeToy"], b'{"never": 1}') is None


@given(raw=st.binary(max_size=60) | ANY_JSON.map(orjson.dumps))
def test_whatever_was_sent_the_nearest_body_is_valid(validator: Validator, toys: Validator, raw: bytes) -> None:
    """Any bytes and any JSON, for a spec with examples for everything and for one with few."""
    mended(validator, raw)
    mended(toys, raw, "makeToy")


@given(data=st.data())
def test_a_movie_of_any_values_becomes_valid(validator: Validator, toys: Validator, data: st.DataObject) -> None:
    """The names are those of the spec, and what they hold is anything."""
    fields = [
        "kind",
        "projectId",
        "movie",
        "scenes",
        "id",
        "duration",
        "layers",
        "type",
        "renderOptions",
        "callbackUrl",
    ]
    toy_fields = ["name", "colour", "speed", "price", "madeAt", "notes", "twin", "parts", "id", "size"]
    mended(validator, data.draw(objects_of(fields)))
    mended(toys, data.draw(objects_of(toy_fields)), "makeToy")


def objects_of(names: list[str]) -> st.SearchStrategy[Any]:
    """Return objects in objects and lists, with properties of these names."""
    inner = st.recursive(
        ANY_JSON,
        lambda inner: (
            st.dictionaries(st.sampled_from(names), inner, max_size=6)
            | st.lists(st.dictionaries(st.sampled_from(names), inner, max_size=4), max_size=3)
        ),
        max_leaves=20,
    )
    return st.dictionaries(st.sampled_from(names), inner, max_size=6)


@given(extra=st.dictionaries(st.text(max_size=5), ANY_JSON, max_size=3), duration=st.floats(0.1, 1e6))
def test_a_valid_body_comes_back_equal(validator: Validator, extra: dict[str, Any], duration: float) -> None:
    """With whatever it holds that the spec does not know."""
    sent = {**extra, **MOVIE, "movie": {"x": extra, "scenes": [{"id": "a", "duration": duration}]}}
    assert mended(validator, sent) == sent


@given(value=ANY_JSON)
def test_what_is_valid_beside_a_violation_stays(validator: Validator, value: Any) -> None:
    """One broken field leaves an unknown one alone."""
    assert movie(fps=60, y=value) == mended(validator, movie(fps=61, y=value))


def test_a_very_deep_body_is_answered_too(toys: Validator) -> None:
    """Objects in objects, down to where JSON ends here, and texts that hold such."""
    deep = b'{"twin":' * 199 + b"5" + b"}" * 199
    text = orjson.dumps({**TOY, "twin": (b'{"twin":' * 900 + b"5" + b"}" * 900).decode()})
    assert mended(toys, deep, "makeToy") == TOY
    assert mended(toys, text, "makeToy")["parts"] == TOY["parts"]


def query(validator: Validator, sent: bytes, **options: Any) -> str | None:
    """Return the nearest query of `listJobs`."""
    return nearest_query(validator, validator.spec.operations["listJobs"], sent, **options)


@pytest.mark.parametrize(
    ("sent", "nearest"),
    [
        (b"", None),
        (b"limit=5&x=1&&x", None),
        (b"limit=0", "limit=1"),
        (b"limit=101&x=%zz&y=\xff", "limit=100&x=%zz&y=%FF"),
        (b"limit=99999999999999999999999", "limit=100"),
        (b"limit=abc", "limit=25"),
        (b"limit=5.0", "limit=5"),
        (b"a&limit=3&b=&limit=4", "a&limit=3&b="),
        (b"status=runing", "status=running"),
        (b"cursor=&limit=2", "limit=2"),
        (b"cursor=", ""),
        (b"type=a%zz+b", "type=a%25zz%20b"),
    ],
)
def test_a_query_is_mended_where_it_is_wrong(sent: bytes, nearest: str | None, validator: Validator) -> None:
    """Unknown parameters stay; None means that nothing was wrong."""
    assert nearest == query(validator, sent)


def test_a_parameter_refused_for_other_reasons_is_left_out(validator: Validator) -> None:
    """A cursor is just a text to the schema; who reads it says that it cannot be read."""
    assert query(validator, b"cursor=zz&limit=0", refused={"cursor"}) == "limit=1"


@pytest.mark.parametrize(
    ("sent", "nearest"),
    [
        (b"tag=a&tag=&tag=b", "tag=a&tag=b"),
        (b"tag=a&tag=b&tag=c&tag=d", "tag=a&tag=b&tag=c"),
        (b"boxed=True", "boxed=true"),
        (b"boxed=maybe", ""),
        (b"weight=null", ""),
    ],
)
def test_parameters_of_other_types_are_mended_too(sent: bytes, nearest: str, toys: Validator) -> None:
    """Lists item by item; what has neither default nor example is left out."""
    assert nearest == nearest_query(toys, toys.spec.operations["listToys"], sent)


def test_a_missing_required_parameter_is_added(tmp_path: Path) -> None:
    """With its example where it has one, else from its schema."""
    document = put(small(), "paths>/v1/toys>get>parameters>1>required", True)
    bare = Validator(loaded(document, tmp_path))
    assert nearest_query(bare, bare.spec.operations["listToys"], b"x") == "x&colour=red"


@given(
    pieces=st.lists(
        st.tuples(st.sampled_from([b"limit", b"cursor", b"status", b"x"]), st.binary(max_size=9)), max_size=5
    )
)
def test_whatever_was_asked_the_nearest_query_is_valid(validator: Validator, pieces: list[tuple[bytes, bytes]]) -> None:
    """And None comes for the valid ones alone."""
    sent = b"&".join(name + b"=" + value for name, value in pieces)
    nearest = query(validator, sent)
    assert is_valid(validator.spec, sent) == (nearest is None)
    assert is_valid(validator.spec, sent if nearest is None else nearest.encode("ascii"))


def is_valid(spec: Spec, sent: bytes) -> bool:
    """Return whether `listJobs` takes the query."""
    try:
        Validator(spec).parameters(spec.operations["listJobs"], sent, (), {})
    except ValidationFailed:
        return False
    return True
