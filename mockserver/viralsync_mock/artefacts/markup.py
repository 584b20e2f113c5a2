"""HTML by small functions: whatever is not `Markup` yet is text, and is escaped when it becomes part of some."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from viralsync_mock.redaction import sanitised

EMPTY = frozenset({"meta", "rect", "circle", "line", "path"})
"""Elements that never have content."""


BLOCKS = frozenset(
    {"section", "article", "details", "figure", "header", "footer", "nav", "div", "dl", "ul", "ol", "li", "p"}
)
"""Elements that end a line of the source, so that it has lines."""


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


def tag(name: str, /, *content: str | None, **attributes: object) -> Markup:
    """Return an element; `class_` stands for `class`, `_` in other names for `-`; None and False are omitted."""
    given = "".join(
        f' {_name(key)}="{escape(sanitised(str(value)))}"' if value is not True else f" {_name(key)}"
        for key, value in attributes.items()
        if value is not None and value is not False
    )
    if name in EMPTY:
        return Markup(f"<{name}{given}>" if name == "meta" else f"<{name}{given}/>")
    end = "\n" if name in BLOCKS else ""
    return Markup(f"<{name}{given}>{joined(content)}</{name}>{end}")


def joined(content: Iterable[str | None], between: str = "") -> Markup:
    """Return parts one after the other; what is text is escaped."""
    return Markup(escaped(between).join(escaped(part) for part in content if part is not None))


def escaped(text: str) -> Markup:
    """Return a text as HTML, and HTML as it is."""
    return text if isinstance(text, Markup) else Markup(escape(sanitised(text)))


def section(title: str, anchor: str, *content: str | None, lead: str = "", class_: str | None = None) -> Markup:
    """Return a part of the page under a heading, with a sentence that says what it is."""
    sentence = tag("p", lead, class_="lead") if lead else None
    return tag("section", tag("h2", title), sentence, *content, id=anchor, class_=class_)


def code(text: str) -> Markup:
    return tag("code", text)


def listing(*items: str, class_: str | None = None) -> Markup:
    return tag("ul", *(tag("li", item) for item in items), class_=class_)


def _name(key: str) -> str:
    return key.rstrip("_").replace("_", "-") if key != "viewBox" else key


POLICY = "default-src 'none'; style-src 'unsafe-inline'"
"""A report loads and runs nothing, and neither can what a target or a program has sent."""


def document(title: str, style: str, body: Markup) -> str:
    """Return a page of HTML that needs nothing else."""
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=POLICY),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", title),
        tag("style", Markup(style)),
    )
    return f"<!doctype html>\n{tag('html', head, body, lang='en')}\n"
