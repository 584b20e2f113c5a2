"""Texts for the `pattern` of a schema: the plain part of the regular expressions that JSON Schema has (ECMA-262).

Literals, classes, `\\p{…}` of general categories, quantifiers, groups and alternatives are generated. Anchors and
look-around are passed over: callers validate the text and draw again. Back references are refused.
"""

from __future__ import annotations

import string
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, NoReturn
from unicodedata import category

if TYPE_CHECKING:
    from random import Random  # noqa: TID251 - the type alone

    Maker = Callable[[Random], str]

MAX_REPEAT = 1000
MAX_TEXT = 100_000

_ASCII = "".join(map(chr, range(0x20, 0x7F)))
_OTHERS = "".join(map(chr, (*range(0xA1, 0x250), *range(0x370, 0x530), *range(0x2010, 0x2100))))
_WORD = string.ascii_letters + string.digits + "_"
_CLASSES = {"d": string.digits, "w": _WORD, "s": " "}
_CONTROLS = {"t": "\t", "n": "\n", "r": "\r", "f": "\f", "v": "\v", "0": "\0"}
_LONG_NAMES = {
    **dict.fromkeys(("Letter", "Alphabetic"), "L"),
    **dict.fromkeys(("Uppercase_Letter", "Uppercase"), "Lu"),
    **dict.fromkeys(("Lowercase_Letter", "Lowercase"), "Ll"),
    **dict.fromkeys(("Space_Separator", "White_Space"), "Zs"),
    "Number": "N",
    "Decimal_Number": "Nd",
    "Punctuation": "P",
    "Symbol": "S",
}
_CATEGORIES = frozenset({category(char)[:length] for char in _ASCII + _OTHERS for length in (1, 2)})
_HEX_DIGITS = {"x": 2, "u": 4}
_LOOK_AROUND = ("?=", "?!", "?<=", "?<!")


class PatternError(ValueError):
    """No text can be generated for this pattern; the message says what is not supported."""


@cache
def compile_pattern(pattern: str, stretch: int = 8) -> Maker:
    """Return a function that draws texts; a quantifier without an upper bound repeats at most `stretch` times more."""
    return _Parser(pattern, stretch).whole()


class _Parser:
    """Reads a pattern once, from left to right, into functions that draw."""

    def __init__(self, pattern: str, stretch: int) -> None:
        self._text = pattern
        self._stretch = stretch
        self._at = 0

    def whole(self) -> Maker:
        maker = self._alternatives()
        if self._at < len(self._text):
            self._fail("a group ends that never began")
        return maker

    def _fail(self, reason: str) -> NoReturn:
        raise PatternError(f"{reason}, at character {self._at + 1}")

    def _take(self, *words: str) -> str:
        """Return the first of these words that stands here, and go past it."""
        found = next((word for word in words if self._text.startswith(word, self._at)), "")
        self._at += len(found)
        return found

    def _next(self) -> str:
        if self._at >= len(self._text):
            self._fail("the pattern ends too early")
        self._at += 1
        return self._text[self._at - 1]

    def _until(self, end: str) -> str:
        stop = self._text.find(end, self._at)
        if stop < 0:
            self._fail(f"{end} is missing")
        found, self._at = self._text[self._at : stop], stop + 1
        return found

    def _alternatives(self) -> Maker:
        options = [self._sequence()]
        while self._take("|"):
            options.append(self._sequence())
        return options[0] if len(options) == 1 else lambda random: random.choice(options)(random)

    def _sequence(self) -> Maker:
        parts: list[Maker] = []
        while self._at < len(self._text) and self._text[self._at] not in "|)":
            parts.append(self._repeated(self._atom()))
        return lambda random: "".join(part(random) for part in parts)

    def _atom(self) -> Maker:
        char = self._next()
        if char == "(":
            return self._group()
        if char == "[":
            return _one_of(self._class())
        if char == ".":
            return _one_of(string.ascii_letters + string.digits + "!#$%&*+-.@_")
        if char in "^$":
            return _nothing
        if char in "*+?":
            self._at -= 1
            self._fail(f"nothing to repeat before {char}")
        if char == "\\":
            return _nothing if self._take("b", "B") else _one_of(self._escape())
        return lambda _random: char

    def _group(self) -> Maker:
        look_around = self._take(*_LOOK_AROUND)
        if not look_around and self._take("?") and not self._take(":"):
            if not self._take("<"):
                self._fail("flags in a group are not supported")
            self._until(">")
        inner = self._alternatives()
        if not self._take(")"):
            self._fail(") is missing")
        return _nothing if look_around else inner

    def _repeated(self, part: Maker) -> Maker:
        least, most = self._quantifier()
        self._take("?")  # lazy or not, the texts are the same
        if least > MAX_REPEAT:
            self._fail(f"more than {MAX_REPEAT} repetitions are not supported")
        if (least, most) == (1, 1):
            return part
        if most is not None and most < least:
            self._fail("the upper bound of a quantifier is below the lower one")
        most = min(least + self._stretch if most is None else most, MAX_REPEAT)

        def draw(random: Random) -> str:
            text = ""
            for _ in range(random.randint(least, most)):
                text += part(random)
                if len(text) > MAX_TEXT:
                    raise PatternError(f"the text would have more than {MAX_TEXT} characters")
            return text

        return draw

    def _quantifier(self) -> tuple[int, int | None]:
        start = self._at
        match self._take("*", "+", "?", "{"):
            case "*":
                return 0, None
            case "+":
                return 1, None
            case "?":
                return 0, 1
            case "{":
                least, comma, most = self._until("}").partition(",")
                if least.isdecimal() and (not most or most.isdecimal()):
                    return int(least), int(most) if most else None if comma else int(least)
                self._at = start
                self._fail("{ must begin a quantifier such as {2,5}, or be written \\{")
        return 1, 1

    def _class(self) -> str:
        """Return the characters of a class, after its opening bracket."""
        is_negated, chars = bool(self._take("^")), ""
        while not self._take("]"):
            first = self._class_member()
            if len(first) == 1 and not self._text.startswith("-]", self._at) and self._take("-"):
                last = self._class_member()
                if len(last) != 1 or last < first:
                    self._fail("a range of a class must go up, from one character to another")
                first = "".join(map(chr, range(ord(first), min(ord(last), ord(first) + MAX_REPEAT) + 1)))
            chars += first
        if is_negated:
            chars = _without(chars)
        return chars or self._fail("a class without any character matches nothing")

    def _class_member(self) -> str:
        char = self._next()
        if char == "[":
            self._fail("[ inside of a class must be written \\[")
        return char if char != "\\" else "\b" if self._take("b") else self._escape()

    def _escape(self) -> str:
        """Return the characters that an escape stands for, after its backslash."""
        char = self._next()
        if char.lower() in _CLASSES:
            chars = _CLASSES[char.lower()]
            return chars if char.islower() else _without(chars)
        if char in "pP":
            chars = self._property()
            return chars if char == "p" else _without(chars)
        if char in _HEX_DIGITS:
            return self._code_point(_HEX_DIGITS[char])
        if char in _CONTROLS:
            return _CONTROLS[char]
        return char if not char.isalnum() else self._fail(f"\\{char} is not supported")

    def _property(self) -> str:
        name = self._until("}") if self._take("{") else self._next()
        name = name.removeprefix("General_Category=").removeprefix("gc=")
        wanted = _LONG_NAMES.get(name, name)
        if wanted not in _CATEGORIES:
            self._fail(f"\\p{{{name}}} is not supported: general categories alone are, such as \\p{{L}} or \\p{{Lu}}")
        found = [char for char in _ASCII if category(char).startswith(wanted)]
        return "".join(found or [char for char in _OTHERS if category(char).startswith(wanted)])

    def _code_point(self, digits: int) -> str:
        if self._take("{"):
            code = self._until("}")
        else:
            code = self._text[self._at : self._at + digits]
            self._at += digits
        try:
            return chr(int(code, 16))
        except (ValueError, OverflowError):
            return self._fail(f"{code} is not the number of a character")


def _nothing(_random: Random) -> str:
    return ""


def _one_of(chars: str) -> Maker:
    return lambda random: random.choice(chars)


def _without(chars: str) -> str:
    return "".join(char for char in _ASCII if char not in chars) or "".join(
        char for char in _OTHERS if char not in chars
    )
