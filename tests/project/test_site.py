"""The site of the documentation: built without a network, with links that lead somewhere, in versions."""

import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from docs.build_site import build, entries, pages, publish, staged, with_every_page
from tests.support.paths import ROOT

CHROMIUM = shutil.which("chromium")


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the site once, as `make docs` does."""
    folder = tmp_path_factory.mktemp("docs") / "stage"
    build(folder)
    return folder


def test_a_page_that_the_menu_does_not_have_yet_is_found_at_its_end() -> None:
    """A new page shows, until it is put where it belongs."""
    settings = with_every_page((ROOT / "zensical.toml").read_text(), [*pages().values(), "brand-new.md"])
    listed = entries(tomllib.loads(settings)["project"]["nav"])
    assert sorted(page for _, page in listed) == sorted([*pages().values(), "brand-new.md"])
    assert ("Brand-new", "brand-new.md") in listed


def test_every_page_is_built_for_people_and_for_programs(stage: Path) -> None:
    """As HTML, as Markdown, and named in llms.txt with a sentence of its own."""
    index = (stage / "site/llms.txt").read_text()
    for page in pages().values():
        assert (stage / "site" / page).with_suffix(".html").exists()
        assert re.search(rf"\(\S+/latest/{re.escape(page)}\): \S.{{10,}}\.$", index, re.MULTILINE), page
        assert (stage / "site" / page).read_text().startswith("# ")


def test_nothing_is_loaded_from_elsewhere(stage: Path) -> None:
    """The site works without a network, also its search."""
    pattern = re.compile(
        r"""(?:<script[^>]+src|<link[^>]+rel="?(?:stylesheet|preconnect)[^>]+href|<img[^>]+src)="?http"""
    )
    assert [page.name for page in (stage / "site").rglob("*.html") if pattern.search(page.read_text())] == []
    assert (stage / "site/search.js").exists()


def test_a_link_that_leads_nowhere_fails_the_build(stage: Path, tmp_path: Path) -> None:
    """A missing page and a missing heading are both reported."""
    shutil.copytree(stage, tmp_path / "stage", ignore=shutil.ignore_patterns("site", ".cache"))
    page = tmp_path / "stage/docs/glossary.md"
    page.write_text(f"{page.read_text()}\n[a](gone.md) [b](faults.md#gone)\n")
    command = [sys.executable, "-m", "zensical", "build", "--strict"]
    done = subprocess.run(command, cwd=page.parents[1], capture_output=True, text=True, env={"NO_COLOR": "1"})
    assert (done.returncode != 0, "2 issues found" in done.stdout + done.stderr) == (True, True)


def test_links_are_bent_to_the_site_or_to_the_repository() -> None:
    """What is no page is read in the repository; code stays as it is."""
    text = staged("docs/scenarios.md", "scenarios.md", pages(), "https://example.org")
    assert "(https://example.org/blob/main/fixtures/scenarios/happy.yaml)" in text
    assert "](../" not in text
    contributing = staged("CONTRIBUTING.md", "project/contributing.md", pages(), "https://example.org")
    assert "[an endpoint](../contributing/endpoint.md)" in contributing


def test_a_release_becomes_a_version_and_the_latest(tmp_path: Path) -> None:
    """Patches replace their version, older versions stay, and the root leads to the newest."""
    for version in ("0.1.0", "0.1.1", "0.2.0"):
        site = tmp_path / version
        site.mkdir()
        (site / "index.html").write_text(version)
        publish(site, tmp_path / "pages", version)
    versions = json.loads((tmp_path / "pages/versions.json").read_text())
    assert [(each["version"], each["title"], each["aliases"]) for each in versions] == [
        ("0.2", "0.2.0", ["latest"]),
        ("0.1", "0.1.1", []),
    ]
    texts = [(tmp_path / "pages" / name / "index.html").read_text() for name in ("0.1", "0.2", "latest")]
    assert texts == ["0.1.1", "0.2.0", "0.2.0"]
    assert "url=latest/" in (tmp_path / "pages/index.html").read_text()


@pytest.mark.needs_chromium
@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
def test_a_browser_shows_the_three_uses(stage: Path, tmp_path: Path) -> None:
    """From the file system, with its menu; the page has no error."""
    assert CHROMIUM is not None
    flags = [
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        f"--user-data-dir={tmp_path}",
        "--virtual-time-budget=3000",
    ]
    page = f"file://{stage / 'site/index.html'}"
    done = subprocess.run([CHROMIUM, *flags, "--dump-dom", page], capture_output=True, text=True, timeout=120)
    shown = re.sub(r"<[^>]*>", " ", done.stdout)
    assert [use for use in ("Test your code", "Run a mock", "Check the API") if use not in shown] == []
