"""What hides API keys: no key survives, in whatever way it is written, and nothing else is touched."""

from __future__ import annotations

import json
from collections.abc import Callable
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.conftest import LiveServer, movie

from viralsync_mock.redaction import MASK, masked, masked_bytes, masked_headers, sanitised, shown_value

SECRET = "0123456789abcdef0123456789abcdef"
KEY = f"vs_prod_{SECRET}"

Writing = Callable[[str], str]


def percent(text: str) -> str:
    """Percent-encode every character that ASCII has."""
    return "".join(f"%{ord(each):02x}" if each.isascii() else each for each in text)


def escaped(text: str) -> str:
    """Write every character as JSON may write it."""
    return "".join(f"\\u{ord(each):04X}" for each in text)


WRITINGS: dict[str, Writing] = {
    "plain": str,
    "upper case": str.upper,
    "percent-encoded": percent,
    "its underscores percent-encoded": lambda text: text.replace("_", "%5F"),
    "its end percent-encoded": lambda text: text[:-5] + percent(text[-5:]),
    "JSON-escaped": escaped,
    "its underscores JSON-escaped": lambda text: text.replace("_", "\\u005f"),
    "as JSON within JSON": lambda text: json.dumps(text.replace("_", "\\u005f"))[1:-1],
}

writings = st.lists(st.sampled_from(sorted(WRITINGS)), max_size=3)
around = st.text(st.characters(codec="utf-8"), max_size=10) | st.text("%25\\u0vsprod_*-ab", max_size=10)


def written(key: str, names: list[str]) -> str:
    """Return a key, written in one way upon the other."""
    for name in names:
        key = WRITINGS[name](key)
    return key


def readings(text: str) -> str:
    """Return everything that somebody can read out of a text, in lower case."""
    seen = [text]
    for _ in range(4):
        text = text.encode("latin-1", "replace").decode("latin-1")
        text = unescaped(text)
        seen.append(text)
    return "\n".join(seen).lower()


def unescaped(text: str) -> str:
    """Undo one encoding the slow way, from left to right."""
    done, at = "", 0
    while at < len(text):
        for mark, digits in (("%", 2), ("\\u", 4), ("\\", 0)):
            code = text[at + len(mark) : at + len(mark) + digits]
            if (
                text.startswith(mark, at)
                and len(code) == digits
                and all(each in "0123456789abcdefABCDEF" for each in code)
            ):
                done, at = done + (chr(int(code, 16)) if code else ""), at + len(mark) + digits
                break
        else:
            done, at = done + text[at], at + 1
    return done


@pytest.mark.parametrize("name", WRITINGS)
def test_a_key_is_masked_however_it_is_written(name: str) -> None:
    """The mask stands where the key stood; what surrounds it stays as it came."""
    text = f'a=%20&"{WRITINGS[name](KEY)}"&b=\\u0020%7E'
    assert masked(text) == f'a=%20&"{MASK}"&b=\\u0020%7E'


@given(around, around, writings)
@example("", "", ["percent-encoded"] * 3)
@example("", "%2", ["JSON-escaped", "percent-encoded"])
def test_no_key_survives_in_any_text(before: str, after: str, names: list[str]) -> None:
    """Whatever stands around a key, and in however many ways it is encoded, nobody reads it out of what is left."""
    told = masked(before + written(KEY, names) + after)
    assert SECRET not in readings(told)
    assert MASK in told


@given(st.binary(max_size=10), st.binary(max_size=10), writings)
@example(b"\xff%", b"\xc3", [])
def test_no_key_survives_in_any_bytes(before: bytes, after: bytes, names: list[str]) -> None:
    """The same holds for bytes, be they text or not."""
    told = masked_bytes(before + written(KEY, names).encode() + after)
    assert SECRET not in readings(told.decode("latin-1"))
    assert MASK.encode() in told


@given(around, around, writings, st.sampled_from(["", KEY, "sesame", "a%41b", "v", "s", "*", "\\"]))
@example("", "%2D", [], "a%41b")
def test_masking_twice_is_masking_once(before: str, after: str, names: list[str], key: str) -> None:
    """What has been masked stays as it is, also with a key that looks like a part of the mask."""
    once = masked(before + written(key or KEY, names) + after, key)
    assert masked(once, key) == once


@given(around)
@example("100 % \\u00e9 \\ %41 vs_prod_")
@example("expected an API key of the form ^vs_prod_[a-z0-9]{32}$")
def test_a_text_without_a_key_is_left_as_it_is(text: str) -> None:
    """Nothing is decoded, quoted or cut that is no key; the prefix alone is none."""
    if "vs_prod_" not in readings(text) or text.endswith(("vs_prod_", "$")):
        assert masked(text, KEY) == text


@given(st.binary(max_size=20))
@example(b'{"text": "100 % \\u00e9"}')
def test_bytes_without_a_key_are_the_same_object(data: bytes) -> None:
    """Whoever keeps a body keeps no copy of it."""
    assert masked_bytes(data, KEY) is data


@given(
    st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="<>"), min_size=3, max_size=12),
    writings.filter(lambda names: "upper case" not in names),
)
@example("sésame/=", ["percent-encoded"])
def test_a_key_of_another_form_is_masked_where_it_is_known(key: str, names: list[str]) -> None:
    """A spec of one's own may have keys of any form: the sandbox's own is hidden however it is written."""
    text = written(key, [name for name in names if name != "as JSON within JSON"])
    assert masked(f"<{text}>", key) == f"<{MASK}>"
    assert masked_bytes(f"<{key}>".encode("latin-1"), key) == f"<{MASK}>".encode()


def test_letters_beyond_ascii_around_a_key_stay_whole() -> None:
    """UTF-8 is not cut in the middle of a letter."""
    assert masked_bytes(f"é{KEY}é".encode()) == f"é{MASK}é".encode()


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("x-api-key", KEY, MASK),
        ("x-api-key", "of another form", MASK),
        ("x-api-key", "", ""),
        ("authorization", f"Bearer {KEY}", f"Bearer {MASK}"),
        ("authorization", "bearer  sesame", f"bearer {MASK}"),
        ("authorization", "Bearer", "Bearer"),
        ("authorization", "Bearer ", "Bearer "),
        ("authorization", "open sesame", MASK),
        ("authorization", "Basic c2VzYW1l", f"Basic {MASK}"),
        ("cookie", "session=sesame", "***"),
        ("proxy-authorization", "Basic c2VzYW1l", "***"),
        ("x-mock-token", "sesame", "***"),
        ("referer", f"http://127.0.0.1/?key={quote(KEY)}&a=1", f"http://127.0.0.1/?key={MASK}&a=1"),
        ("referer", f"http://127.0.0.1/{KEY.replace('_', '%5f')}", f"http://127.0.0.1/{MASK}"),
        ("x-note", "open SESAME to sesame", f"open SESAME to {MASK}"),
        ("accept", "*/*", "*/*"),
        (f"x-{KEY}", "1", f"x-{MASK}"),
    ],
)
def test_a_header_tells_no_secret(name: str, value: str, expected: str) -> None:
    """Headers that hold secrets lose their value and keep their scheme; keys are found in all others."""
    shown = name.replace(KEY, MASK)
    lines = [(b"host", b"127.0.0.1"), (name.encode(), value.encode())]
    told = masked_headers(lines, "sesame")
    assert told == ((b"host", b"127.0.0.1"), (shown.encode(), expected.encode() if shown == name else b"1"))
    assert masked_headers(list(told), "sesame") == told


@pytest.mark.parametrize("name", ["plain", "upper case", "percent-encoded", "JSON-escaped"])
def test_an_error_repeats_no_key_of_the_path(live_server: LiveServer, name: str) -> None:
    """The text of a 404 names the path, which may hold a key by mistake; also one that is not the caller's."""
    with live_server.client() as client:
        text = client.get(f"/v1/{WRITINGS[name](KEY)}/nowhere").json()["error"]
    assert text == f"There is no route for GET /v1/{MASK}/nowhere."


def test_an_error_repeats_no_key_of_a_value(live_server: LiveServer) -> None:
    """A violation quotes what came, in the query or in the body, and not the key in it."""
    with live_server.client() as client:
        answers = [client.get("/v1/jobs", params={"status": KEY}), client.post("/v1/render/jobs", json=movie(kind=KEY))]
    assert [answer.json()["code"] for answer in answers] == ["VALIDATION_ERROR"] * 2
    assert [SECRET in answer.text for answer in answers] == [False] * 2


def test_an_error_still_tells_the_form_of_a_key(live_server: LiveServer) -> None:
    """Who sends a key of another form reads which form was expected."""
    with live_server.client("sesame") as client:
        assert "of the form ^vs_prod_[a-z0-9]{32}$, got 6 characters" in client.get("/v1/me").json()["error"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x07", "\ufffd[31mred\ufffd"),
        ("a\rb\r\nc\td", "a\ufffdb\r\nc\td"),
        ("::error::x\n \u00a0::x a::b ##[error]", ": :error::x\n \u00a0: :x a::b ## [error]"),
        ("\u202egnp.exe \x9b é 😀", "\ufffdgnp.exe \ufffd é 😀"),
    ],
)
def test_what_a_terminal_or_a_log_would_obey_is_broken(text: str, shown: str) -> None:
    """Control characters, marks of direction, and the commands of CI systems; everything else stays."""
    assert sanitised(text) == shown


@given(st.text())
def test_sanitising_twice_changes_nothing_more(text: str) -> None:
    """What is harmless stays as it is."""
    assert sanitised(sanitised(text)) == sanitised(text)


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("Authorization", "Bearer vs_prod_abc", "Bearer vs_prod_***"),
        ("x-api-key", "abc", "vs_prod_***"),
        ("Cookie", "a=b", "***"),
        ("accept", "vs_prod_abc é", "vs_prod_*** é"),
    ],
)
def test_a_header_is_shown_without_its_secret(name: str, value: str, shown: str) -> None:
    """A bearer token stays recognisable as one."""
    assert shown_value(name, value) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("to http://me:hush@host/a@b: refused", "to http://***@host/a@b: refused"),
        ("https://hush@host?Token=hush&a=1", "https://***@host?Token=***&a=1"),
        ("api_key=hush&cursor=x&sig=hush%3D#a", "api_key=***&cursor=x&sig=***#a"),
        ("next=http%3A%2F%2Fme%3Ahush%40host%3Ftoken%3Dhush", "next=http%3A%2F%2F***%40host%3Ftoken%3D***"),
        ('{"url": "http:\\/\\/me:hush@host\\/x?a=1\\u0026secret=hush"}',
         '{"url": "http:\\/\\/***@host\\/x?a=1\\u0026secret=***"}'),
        (f"?key={KEY}", f"?key={MASK}"),
        ("mailto:me@host a=b monkey=1 ?tokens=1", "mailto:me@host a=b monkey=1 ?tokens=1"),
    ],
)  # fmt: skip
def test_userinfo_and_secret_parameters_are_masked(text: str, shown: str) -> None:
    """In URLs, texts about them, queries and JSON, in whatever way they are encoded; twice is once."""
    assert masked(text) == shown
    assert masked(shown) == shown
