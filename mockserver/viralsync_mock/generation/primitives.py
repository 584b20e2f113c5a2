"""Plain texts and numbers that fit a schema, drawn from a seed."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from math import ceil, floor
from typing import TYPE_CHECKING, Any

from viralsync_mock.generation.patterns import PatternError, compile_pattern
from viralsync_mock.jobs.models import timestamp
from viralsync_mock.validation.schema import Schema

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from random import Random  # noqa: TID251 - the type alone: Faker's own generator is used

YEAR_BEGINS = datetime(2026, 1, 1, tzinfo=UTC)  # invented instants lie in the year after this, never around today
MAX_INTEGER = 2**53
STEPS = 9973  # a prime, so that fractions look like fractions
REACH = 1000  # how far from its one bound a number without the other is drawn
TRIES = 100
STRETCH = 8  # how often more a part of a pattern is repeated where the pattern sets no bound
_INTEGER_FORMATS = {"int32": 2**31 - 1}
_PROVIDERS = ("address", "color", "company", "internet", "lorem", "misc", "person", "phone_number")


class UnsatisfiableSchema(Exception):
    """Nothing can be generated for this schema in this attempt; `pattern` is the one that no text was found for."""

    def __init__(self, message: str, pattern: str | None = None) -> None:
        super().__init__(message)
        self.pattern = pattern


class FakeValues:
    """Draws values; the same seed draws the same ones in the same order."""

    def __init__(self, seed: str) -> None:
        from faker import Faker  # here, since it costs more than the rest of the start-up and is rarely needed

        providers = [f"faker.providers.{name}" for name in _PROVIDERS]
        self._faker = Faker("en_US", providers=providers, use_weighting=False)
        self._faker.seed_instance(seed)
        self.random: Random = self._faker.random
        self._patterns: dict[str, Schema] = {}

    def word(self) -> str:
        """Return a lower-case word."""
        return str(self._faker.word())

    def text(self, schema: Mapping[str, Any], name: str) -> str:
        """Return a text for a property of this name: of the schema's format, pattern and length."""
        text = self._of_format(schema.get("format", "")) or self._of_name(name)
        if "pattern" in schema:
            return self._of_pattern(schema, text)
        while len(text) < schema.get("minLength", 0):
            text += self.word()
        return text[: schema.get("maxLength")]

    def _of_pattern(self, schema: Mapping[str, Any], likely: str) -> str:
        """Return a text that the validator accepts; `likely` itself if it fits."""
        rules = {key: schema[key] for key in ("pattern", "minLength", "maxLength") if key in schema}
        key = str(rules)
        checked = self._patterns.get(key) or self._patterns.setdefault(key, Schema(rules, {}))
        text, pattern, reason = likely, schema["pattern"], f"none of {TRIES} texts matches it"
        try:
            for _ in range(TRIES):
                if checked.accepts(text):
                    return text
                text = compile_pattern(pattern, max(STRETCH, schema.get("minLength", 0)))(self.random)
                text = text[: schema.get("maxLength")]
        except PatternError as problem:
            reason = str(problem)
        raise UnsatisfiableSchema(f"no text can be generated for the pattern {pattern}: {reason}", pattern)

    def _of_format(self, kind: str) -> str:
        instant = YEAR_BEGINS + timedelta(milliseconds=self.random.randrange(365 * 86_400_000))
        stamp = timestamp(instant)
        fake = self._faker
        known: Mapping[str, Callable[[], str]] = {
            "date-time": lambda: stamp,
            "date": lambda: stamp[:10],
            "time": lambda: stamp[11:],
            "duration": lambda: f"PT{self.random.randint(1, 600)}S",
            "uuid": lambda: str(fake.uuid4()),
            "hostname": lambda: f"{fake.domain_word()}.example.com",
            "ipv4": fake.ipv4,
            "ipv6": fake.ipv6,
            "json-pointer": lambda: f"/{fake.word()}/0",
            "relative-json-pointer": lambda: "0",
            "regex": lambda: f"^{fake.word()}$",
            "byte": lambda: "bW9jaw==",
            "uri-reference": lambda: f"/{fake.slug()}",
            "uri-template": lambda: f"/{fake.word()}/{{id}}",
            **dict.fromkeys(("uri", "iri", "url"), lambda: f"https://example.com/{fake.slug()}"),
            **dict.fromkeys(("email", "idn-email"), lambda: f"{fake.user_name()}@example.com"),
        }
        return known[kind]() if kind in known else ""

    def _of_name(self, name: str) -> str:
        """Return what a property of this name usually holds; the longest ending that is known counts."""
        fake = self._faker
        known: Mapping[str, Callable[[], str]] = {
            "email": lambda: self._of_format("email"),
            "username": fake.user_name,
            "firstname": fake.first_name,
            "lastname": fake.last_name,
            "filename": lambda: f"{fake.word()}.mp4",
            "name": fake.name,
            "title": lambda: " ".join(fake.words(3)).capitalize(),
            "description": fake.sentence,
            "message": fake.sentence,
            "text": fake.sentence,
            "url": lambda: self._of_format("uri"),
            "uri": lambda: self._of_format("uri"),
            "city": fake.city,
            "country": fake.country,
            "street": fake.street_address,
            "address": lambda: str(fake.address()).replace("\n", ", "),
            "company": fake.company,
            "phone": fake.phone_number,
            "color": fake.hex_color,
            "colour": fake.hex_color,
            "id": lambda: "".join(self.random.choices("0123456789abcdef", k=12)),
            "at": lambda: self._of_format("date-time"),
        }
        words = re.findall(r"[A-Z]?[a-z]+|[A-Z]+", name)
        endings = ("".join(words[start:]).lower() for start in range(len(words)))
        return str(next((known[ending]() for ending in endings if ending in known), None) or self.word())

    def number(self, schema: Mapping[str, Any], *, whole: bool) -> int | float:
        """Return a number within the schema's bounds, and a multiple of what it says."""
        step = _exact(schema["multipleOf"]) if "multipleOf" in schema else Fraction(0)
        if whole:
            step = Fraction(step.numerator) if step else Fraction(1)  # n/d divides a whole number if n does
        low, high = _bounds(schema)
        if step:
            first, last = _inside(schema, low / step, high / step)
            drawn = step * self.random.randint(first, max(first, last))
        else:
            drawn = low + (high - low) * Fraction(self.random.randrange(1, STEPS), STEPS)
            rounded = Fraction(round(drawn * 100), 100)
            drawn = rounded if low < rounded < high else drawn
        is_whole = drawn.denominator == 1 and abs(drawn) <= MAX_INTEGER
        return int(drawn) if is_whole else float(drawn)


def _exact(number: float) -> Fraction:
    return Fraction(Decimal(str(number)))  # 0.1 as written, not as the nearest binary fraction


def _bounds(schema: Mapping[str, Any]) -> tuple[Fraction, Fraction]:
    lows = [_exact(schema[key]) for key in ("minimum", "exclusiveMinimum") if key in schema]
    highs = [_exact(schema[key]) for key in ("maximum", "exclusiveMaximum") if key in schema]
    limit = _INTEGER_FORMATS.get(schema.get("format", ""), MAX_INTEGER)
    reach = max(REACH, 10 * int(_exact(schema.get("multipleOf", 1))))
    low = max(lows) if lows else min(Fraction(0), min(highs) - reach) if highs else Fraction(0)
    high = min(highs) if highs else max(min(low + reach, Fraction(limit)), low)
    return low, high


def _inside(schema: Mapping[str, Any], low: Fraction, high: Fraction) -> tuple[int, int]:
    """Return the first and last whole numbers between the bounds, which themselves may be excluded."""
    first, last = ceil(low), floor(high)
    is_open_below = schema.get("exclusiveMinimum", float("-inf")) >= schema.get("minimum", float("-inf"))
    is_open_above = schema.get("exclusiveMaximum", float("inf")) <= schema.get("maximum", float("inf"))
    if "exclusiveMinimum" in schema and is_open_below and first == low:
        first += 1
    if "exclusiveMaximum" in schema and is_open_above and last == high:
        last -= 1
    return first, last
