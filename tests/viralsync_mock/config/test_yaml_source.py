"""YAML files are read as plain JSON values, cheaply and safely, and complaints name the place."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from viralsync_mock.config.yaml_source import MAX_FILE, Node, YamlSource, json_path, preview, read_yaml
from viralsync_mock.errors import SpecError


def read(text: str) -> Any:
    """Return the value of a YAML text."""
    return YamlSource(text, "file.yaml", SpecError).data


def complaint(text: str) -> str:
    """Return why a YAML text is refused."""
    with pytest.raises(SpecError) as caught:
        read(text)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5", 5),
        ("-5", -5),
        ("1.5", 1.5),
        ("1e3", 1000.0),
        ("true", True),
        ("~", None),
        ("", None),
        ("on", "on"),
        ("yes", "yes"),
        ("007", "007"),
        ("12:30", "12:30"),
        ("2026-01-01", "2026-01-01"),
        ("'5'", "5"),
        ("! 5", "5"),
        ("!!str 5", "5"),
        (".inf", ".inf"),
    ],
)
def test_scalars_have_the_core_types_of_yaml_1_2(text: str, value: Any) -> None:
    """Dates, `on` and clock times are texts; only JSON's own types come out of the file."""
    assert {"a": value} == read(f"a: {text}")


def test_keys_are_texts() -> None:
    """A status written without quotes is the same key as one with quotes, as in JSON."""
    assert read("200: {null: 1}") == {"200": {"null": 1}}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: *x\nb: &x 1", "file.yaml:1: $.a: no value before this one has the anchor &x"),
        ("a: &x [*x]", "file.yaml:1: $.a[0]: no value before this one has the anchor &x"),
        ("a: {<<: 1}", 'file.yaml:1: $.a["<<"]: a merge key takes an object or a list of objects, got 1'),
        ("a: 1\nb: 2\na: 3", "file.yaml:3: $.a: this key stands twice: keep one of them"),
        ("a: !!python/name:os.x b", "file.yaml:1: $.a: the YAML tag tag:yaml.org,2002:python/name:os.x is not"),
        ("a: !x [1]", "file.yaml:1: $.a: the YAML tag !x is not supported: remove it"),
        ("a:\n  ? [1]\n  : 2", "file.yaml:2: $.a: a key must be a plain text"),
        ("a: 1e999", 'file.yaml:1: $.a: "1e999" is too large a number'),
        ("a: [1", "file.yaml:2: not YAML: did not find expected ',' or ']'"),
        ("a: 1\n---\nb: 2", "file.yaml:2: a second document begins here: keep one per file"),
        ("a: \0", "file.yaml:1: not YAML: unacceptable character #x0000: control characters are not allowed"),
        ("", "file.yaml:1: the file is empty"),
    ],
)
def test_what_json_does_not_have_is_refused_with_its_line(text: str, message: str) -> None:
    """Tags, doubled keys and the like name the line, the place and what to do."""
    assert complaint(text).startswith(message)
    assert "\n" not in complaint(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a: &x [1]\nb: *x", {"a": [1], "b": [1]}),
        ("a: &x {k: 1, l: 2}\nb: {<<: *x, l: 3}", {"a": {"k": 1, "l": 2}, "b": {"k": 1, "l": 3}}),
        ("a: {l: 3, <<: {l: 1, m: 2}}", {"a": {"l": 3, "m": 2}}),
        ("a: {<<: [{k: 1}, {k: 2, l: 2}]}", {"a": {"k": 1, "l": 2}}),
        ("a: {'<<': 1}", {"a": {"<<": 1}}),
    ],
)
def test_aliases_and_merge_keys_work_as_yaml_has_them(text: str, value: Any) -> None:
    """The object's own keys win over merged ones, and of several merged objects the first."""
    assert value == read(text)


def test_what_aliases_come_to_is_bounded() -> None:
    """Nine levels of nine aliases each would be 400 million values."""
    levels = [f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]" for level in range(1, 10)]
    assert "stand for more than 200000 values" in complaint("\n".join(["a0: &a0 1", *levels]))


def test_a_mistake_in_an_aliased_value_names_the_line_of_the_alias() -> None:
    """The value itself may be right where it stands first."""
    source = YamlSource("a: &x {k: 1}\nb:\n  c: *x\nd: {<<: *x}", "file.yaml", SpecError)
    for place, line in ((("b", "c", "k"), 3), (("d", "k"), 4)):
        with pytest.raises(SpecError, match=f"file.yaml:{line}: "):
            source.fail(place, "wrong")


@pytest.mark.parametrize("opening", ["[", "{a: ", "- ", "a: {b: ["])
def test_a_hundred_thousand_nested_levels_are_refused(opening: str) -> None:
    """Nesting is refused early, where libyaml's own composer would overflow the stack of the process."""
    assert "nested deeper than 100 levels" in complaint(opening * 100_000)


def test_a_number_of_a_thousand_digits_is_refused() -> None:
    """Python's own limit on digits never shows through."""
    assert complaint("9" * 1000).endswith("is too large a number")


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    """Whatever the file holds, the answer is a value or a SpecError."""
    with suppress(SpecError):
        read(text)


def test_a_file_that_is_too_large_is_refused(tmp_path: Path) -> None:
    """A huge file costs no more than reading five megabytes."""
    path = tmp_path / "huge.yaml"
    path.write_bytes(b"a" * (MAX_FILE + 1))
    with pytest.raises(SpecError, match="larger than 5 MB"):
        read_yaml(path, SpecError)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    """A wrong path gives one sentence, not a traceback of `open`."""
    with pytest.raises(SpecError, match=r"none.yaml: cannot be read: No such file"):
        read_yaml(tmp_path / "none.yaml", SpecError)


def test_a_file_in_another_encoding_is_refused(tmp_path: Path) -> None:
    """Only UTF-8 is read, with or without a byte order mark."""
    path = tmp_path / "latin.yaml"
    path.write_bytes("a: é".encode("latin-1"))
    with pytest.raises(SpecError, match="not UTF-8 at byte 3: save the file as UTF-8"):
        read_yaml(path, SpecError)


def test_a_byte_order_mark_is_ignored(tmp_path: Path) -> None:
    """Some editors write a mark before UTF-8."""
    path = tmp_path / "marked.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: 1")
    assert read_yaml(path, SpecError).value == {"a": 1}


def place(text: str) -> Node:
    """Return the root of a YAML text."""
    source = YamlSource(text, "file.yaml", SpecError)
    return Node(source, source.data)


def test_a_complaint_about_a_part_names_its_line_and_place() -> None:
    """The line is that of the key."""
    with pytest.raises(SpecError, match=r'^file.yaml:3: \$.a\[1\].b: expected a whole number, got "x"$'):
        list(place("a:\n  - 1\n  - b: x")["a"])[1]["b"].expect(int)


def test_a_missing_key_is_named_with_the_nearest_one_that_is_there() -> None:
    """A misspelt key shows as the one that is missing."""
    with pytest.raises(SpecError, match=r'"title" is missing: add it. Did you mean "tittle"\?'):
        place("tittle: x")["title"]


def test_an_unknown_key_is_refused_but_an_extension_is_not() -> None:
    """Keys that begin with `x-` are anybody's."""
    assert place("{a: 1, x-b: 2}").allow_keys("a").value == {"a": 1, "x-b": 2}
    with pytest.raises(SpecError, match=r'unknown key "aa". Did you mean "a"\? Known: a'):
        place("aa: 1").allow_keys("a")


@pytest.mark.parametrize(
    ("text", "kind", "is_fine"),
    [("1", float, True), ("true", float, False), ("true", int, False), ("1.5", int, False), ("true", bool, True)],
)
def test_a_whole_number_is_a_number_and_true_is_neither(text: str, kind: type, is_fine: bool) -> None:
    """JSON's types, where Python's `bool` would pass as an `int`."""
    part = place(f"a: {text}")["a"]
    if is_fine:
        assert part.expect(kind) == part.value
    else:
        with pytest.raises(SpecError, match="expected"):
            part.expect(kind)


@pytest.mark.parametrize(
    ("path", "name"),
    [((), "$"), (("a", 0, "b-c"), "$.a[0].b-c"), (("paths", "/v1/x", "200"), '$.paths["/v1/x"]["200"]')],
)
def test_a_place_is_named_as_a_json_path(path: tuple[str | int, ...], name: str) -> None:
    """Keys that are no names stand in brackets and quotes."""
    assert name == json_path(path)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a", '"a"'),
        (None, "null"),
        (True, "true"),
        (1.5, "1.5"),
        ({"a": 1}, "an object of 1"),
        ([1, 2], "a list of 2"),
        ("x" * 99, '"' + "x" * 58 + "…"),
    ],
)
def test_a_value_is_shown_in_short(value: object, text: str) -> None:
    """A message stays one line, whatever came."""
    assert text == preview(value)
