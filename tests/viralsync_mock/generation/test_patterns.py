"""Texts for a `pattern` follow the validator's dialect; what cannot be generated is named."""

from __future__ import annotations

from random import Random  # noqa: TID251 - seeded

import pytest

from viralsync_mock.generation.patterns import PatternError, compile_pattern
from viralsync_mock.validation.schema import Schema

PATTERNS = [
    r"^\p{L}{3}$",
    r"^\p{Uppercase_Letter}\p{Ll}+$",
    r"^\P{L}+$",
    r"^#[0-9a-fA-F]{6}$",
    r"^(foo|ba[rz])+$",
    r"^[^a-z]{2,3}$",
    r"^(?<year>\d{4})-(?:0[1-9]|1[0-2])$",
    r"^[\p{L}\d_-]+$",
    r"^\u0041\x42[\]\\]?$",
    r"^[-a]+[a-]$",
    r"^\w+@\w+\.com\b",
    r"^.{2,}?\s\S\W\D$",
    "unanchored",
    "^$",
]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_the_validator_accepts_what_is_generated(pattern: str) -> None:
    """Every text of a plain pattern matches."""
    draw, schema, random = compile_pattern(pattern), Schema({"pattern": pattern}, {}), Random(7)
    assert all(schema.accepts(draw(random)) for _ in range(100))


def test_look_around_is_left_to_the_validator() -> None:
    """Some of the texts match, so that drawing again finds one."""
    pattern = r"^(?=.*[0-9])(?=.*[a-z])(?!.*_).{8,}$"
    draw, schema, random = compile_pattern(pattern), Schema({"pattern": pattern}, {}), Random(7)
    assert any(schema.accepts(draw(random)) for _ in range(20))


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        (r"^(a)\1$", r"\1 is not supported, at character 7"),
        (r"^\p{Greek}$", r"\p{Greek} is not supported: general categories alone are"),
        ("(?i)a", "flags in a group are not supported"),
        ("[a-", "the pattern ends too early"),
        ("[z-a]", "must go up"),
        ("a{2", "} is missing"),
        ("a{x}", "{ must begin a quantifier"),
        ("a{3,2}", "below the lower one"),
        ("a{5000}", "more than 1000 repetitions"),
        ("(a", ") is missing"),
        ("a)", "a group ends that never began"),
        ("*a", "nothing to repeat before *"),
        (r"\xzz", "is not the number of a character"),
        ("[]", "matches nothing"),
    ],
)
def test_what_is_not_supported_is_named_with_its_character(pattern: str, reason: str) -> None:
    """The author of the spec finds the part that must change."""
    with pytest.raises(PatternError) as caught:
        compile_pattern(pattern)
    assert reason in str(caught.value)


def test_a_text_stays_bounded() -> None:
    """Nested quantifiers multiply, and are broken off."""
    with pytest.raises(PatternError, match="more than 100000 characters"):
        compile_pattern("((a{1000}){1000}){1000}")(Random(7))
