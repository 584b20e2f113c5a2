"""Builds the site of the documentation: `python docs/build_site.py`, or `--publish FOLDER VERSION` after it.

Pages link as files of the repository do, so that they can be read there too. Here each is staged with its links bent to
the page of the site, or to the repository for what is no page; zensical then builds, strictly.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

ROOT = Path(__file__).parents[1]
REPOSITORY = "https://github.com/viralsync/viralsync-mock"
STAGE = ROOT / "build/docs"
PROJECT = {
    "CHANGELOG.md": "project/changelog.md",
    "ARCHITECTURE.md": "project/architecture.md",
    "CONTRIBUTING.md": "project/contributing.md",
    "benchmarks/RESULTS.md": "project/benchmarks.md",
}
"""Pages of the site that lie outside of docs/."""

LINK = re.compile(r"(!?\[[^\]\n]*\]\()((?!https?:|mailto:|#)[^)#\s]+)(#[^)\s]*)?\)")
FENCE = re.compile(r"(?ms)^( *)```.*?^\1```")


def pages() -> dict[str, str]:
    """Return the path in the site of each page, by its path in the repository."""
    docs = ROOT / "docs"
    own = {f"docs/{path.relative_to(docs)}": str(path.relative_to(docs)) for path in sorted(docs.rglob("*.md"))}
    return own | PROJECT


def staged(source: str, place: str, known: dict[str, str], repository: str) -> str:
    """Return a page with its links as the site needs them; code stays as it is."""

    def bend(match: re.Match[str]) -> str:
        target = os.path.normpath(Path(source).parent / match[2])
        if (ROOT / target).suffix in {".png", ".svg", ".webp"} and target.startswith("docs/"):
            return match[0]
        if target in known:
            found = os.path.relpath(known[target], Path(place).parent)
        else:
            found = f"{repository}/{'tree' if (ROOT / target).is_dir() else 'blob'}/main/{target}"
        return f"{match[1]}{found}{match[3] or ''})"

    text = (ROOT / source).read_text("utf-8")
    parts, end = [], 0
    for fence in FENCE.finditer(text):
        language_alone = re.sub(r"\A( *```\w+) .*", r"\1", fence[0])  # the rest is for tests
        parts += [LINK.sub(bend, text[end : fence.start()]), language_alone]
        end = fence.end()
    return "".join([*parts, LINK.sub(bend, text[end:])])


def entries(nav: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Return title and page of each entry, without the sections."""
    found = []
    for item in nav:
        for title, value in item.items():
            found += entries(value) if isinstance(value, list) else [(title, value)]
    return found


def with_every_page(settings: str, known: Iterable[str]) -> str:
    """Return the settings of the site with pages that its menu does not have at the end of it."""
    listed = {page for _, page in entries(tomllib.loads(settings)["project"]["nav"])}
    more = [f'    {{ "{Path(page).stem.capitalize()}" = "{page}" }},\n' for page in sorted(set(known) - listed)]
    return settings.replace("\n]\n", f'\n  {{ "More" = [\n{"".join(more)}  ] }},\n]\n', 1) if more else settings


def summary(text: str) -> str:
    """Return the first sentence of a page."""
    body = re.sub(r"(?m)^#.*$|<[^>]*>", "", text).strip().split("\n\n")[0].replace("\n", " ")
    return re.split(r"(?<=[.:])\s", re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", body))[0].rstrip(":.") + "."


def index_for_programs(project: dict[str, Any], docs: Path) -> str:
    """Return llms.txt: every page with its first sentence, as https://llmstxt.org has it."""
    lines = [f"# {project['site_name']}\n\n> {project['site_description']}\n"]
    for section in project["nav"]:
        for title, value in section.items():
            lines.append(f"\n## {title}\n\n")
            for name, page in entries(value):
                text = (docs / page).read_text("utf-8")
                lines.append(f"- [{name}]({project['site_url']}{page}): {summary(text)}\n")
    return "".join(lines)


def build(stage: Path = STAGE) -> None:
    """Build the site into a folder `site` of the stage; exit with zensical's code if a link leads nowhere."""
    known = pages()
    settings = with_every_page((ROOT / "zensical.toml").read_text("utf-8"), known.values())
    project = tomllib.loads(settings)["project"]
    shutil.rmtree(stage, ignore_errors=True)
    shutil.copytree(ROOT / "docs", stage / "docs", ignore=shutil.ignore_patterns("*.md", "*.py", "__pycache__"))
    for source, place in known.items():
        (stage / "docs" / place).parent.mkdir(parents=True, exist_ok=True)
        (stage / "docs" / place).write_text(staged(source, place, known, REPOSITORY), "utf-8")
    (stage / "zensical.toml").write_text(settings, "utf-8")
    done = subprocess.run([sys.executable, "-m", "zensical", "build", "--strict", "--clean"], cwd=stage, check=False)
    if done.returncode:
        raise SystemExit(done.returncode)
    site = stage / "site"
    for page in site.rglob("*.html"):  # its search of files asks a server for a script, which is here too
        own = os.path.relpath(site / "assets/iframe-worker.js", page.parent)
        page.write_text(page.read_text("utf-8").replace("https://unpkg.com/iframe-worker/shim", own), "utf-8")
    for place in known.values():  # for programs, which read Markdown better
        shutil.copy(stage / "docs" / place, site / place)
    (site / "llms.txt").write_text(index_for_programs(project, stage / "docs"), "utf-8")


def publish(site: Path, folder: Path, version: str) -> None:
    """Add the site to the versions in a folder, as `0.1` and as `latest`; the page's menu reads versions.json."""
    minor = ".".join(version.split(".")[:2])
    listed = folder / "versions.json"
    versions = json.loads(listed.read_text("utf-8")) if listed.exists() else []
    older = [{**each, "aliases": []} for each in versions if each["version"] != minor]
    every = [{"version": minor, "title": version, "aliases": ["latest"]}, *older]
    for name in (minor, "latest"):
        shutil.rmtree(folder / name, ignore_errors=True)
        shutil.copytree(site, folder / name)
    listed.write_text(json.dumps(every, indent=1) + "\n", "utf-8")
    (folder / ".nojekyll").touch()
    (folder / "index.html").write_text('<!doctype html><meta http-equiv="refresh" content="0; url=latest/">\n', "utf-8")


if __name__ == "__main__":
    match sys.argv[1:]:
        case []:
            build()
        case ["--publish", folder, version]:
            publish(STAGE / "site", Path(folder), version)
        case _:
            raise SystemExit(__doc__)
