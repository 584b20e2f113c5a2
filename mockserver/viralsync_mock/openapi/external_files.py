"""References to other files (`./movie.yaml#/Movie`): the files are taken into the document.

Only files in the folder of the spec, or below it, are read; nothing is fetched over the network.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import unquote

from viralsync_mock.config.yaml_source import Node, YamlSource, preview, read_yaml
from viralsync_mock.errors import SpecError

if TYPE_CHECKING:
    from viralsync_mock.config.yaml_source import Trail

FILES = "x-external-files"
"""Under this key of the document stand the other files, by their paths from the folder of the spec."""

MAX_FILES = 100
_REFERENCE = re.compile(r"""\$ref["']?\s*:\s*["']?[^\s"'#]""")
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:|//")


_DATA = frozenset({"example", "default", "const", "enum"})
_NAMES = frozenset({"properties", "patternProperties", "$defs", "dependentSchemas", "schemas", "responses", "examples"})
"""Keys below which names stand that the author chose."""


class _Sources(YamlSource):
    """The source of the spec together with those of the other files: a complaint names the file that it is about."""

    def __init__(self, own: YamlSource) -> None:
        self.name, self.text, self.error, self.data = own.name, own.text, own.error, own.data
        self.others: dict[str, YamlSource] = {}

    def fail(self, path: Trail, message: str) -> NoReturn:
        """Raise the complaint of the file in which the place stands."""
        if path[:1] == (FILES,) and len(path) > 1 and path[1] in self.others:
            self.others[str(path[1])].fail(path[2:], message)
        super().fail(path, message)


def with_external_files(root: Node) -> Node:
    """Return the document with every file that it refers to; raises SpecError for one that cannot be taken in."""
    if not _REFERENCE.search(root.source.text):
        return root
    path = Path(root.source.name)
    reader = _Reader(path, root)
    value = reader.rewritten(root, path.name)
    return Node(reader.sources, {**value, FILES: reader.files})


class _Reader:
    def __init__(self, spec: Path, root: Node) -> None:
        self._folder = spec.resolve().parent
        self._spec = spec.name
        self.sources = _Sources(root.source)
        self.files: dict[str, Any] = {}

    def rewritten(self, place: Node, name: str) -> Any:
        """Return a value of the file of this name, its references leading into the document."""
        if isinstance(place.value, dict):
            return {key: part.value if _is_data(part) else self._part(part, key, name) for key, part in place.items()}
        return [self.rewritten(part, name) for part in place] if isinstance(place.value, list) else place.value

    def _part(self, place: Node, key: str, name: str) -> Any:
        if key == "$ref":
            return self._reference(place, name)
        if key == "mapping" and place.path[-2:-1] == ("discriminator",) and isinstance(place.value, dict):
            return {value: self._reference(part, name) for value, part in place.items()}
        return self.rewritten(place, name)

    def _reference(self, place: Node, name: str) -> Any:
        reference = place.value
        if not isinstance(reference, str):
            return self.rewritten(place, name)  # a property that is called $ref
        address, _, fragment = reference.partition("#")
        other = self._relative(place, address, name) if address else name
        if fragment and not fragment.startswith("/"):
            place.fail(f"{preview(reference)}: after the # stands a path such as #/Movie, names are not supported")
        if other == self._spec:
            return f"#{fragment}" if fragment else place.fail(f"{preview(reference)} leads to the whole spec")
        self._read(place, other)
        return f"#/{FILES}/{_escaped(other)}{fragment}"

    def _relative(self, place: Node, address: str, name: str) -> str:
        """Return the path of a file from the spec's folder."""
        if _URL.match(address):
            place.fail(f"{preview(address)}: nothing is fetched over the network: save the file beside the spec")
        path = (self._folder / name).parent / unquote(address)
        try:
            return path.resolve().relative_to(self._folder).as_posix()
        except (ValueError, OSError):
            return place.fail(f"{preview(address)} lies outside of the spec's folder: only files in it are read")

    def _read(self, place: Node, name: str) -> None:
        if name in self.files:
            return
        if len(self.files) >= MAX_FILES:
            place.fail(f"the spec refers to more than {MAX_FILES} other files")
        path = self._folder / name
        if not path.is_file():
            place.fail(f"there is no file {preview(name)} in {self._folder}")
        other = read_yaml(path, SpecError)
        self.sources.others[name] = other.source
        self.files[name] = {}  # files may refer to each other in a circle
        self.files[name] = self.rewritten(other, name)


def _is_data(place: Node) -> bool:
    """Return whether the place holds an example or another value, in which `$ref` is an ordinary key."""
    *_, owner, parent, key = ("", "", *place.path)
    if parent in _NAMES:
        return False
    if key == "examples":
        return isinstance(place.value, list)
    return key in _DATA or (key == "value" and owner == "examples")


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1").replace("%", "%25")
