"""`--watch`: which change is seen, and what comes of it."""

import asyncio
import os
from pathlib import Path

import pytest

from viralsync_mock.cli.reload import POLL_SECONDS, poll, read_stamps, watch, watched
from viralsync_mock.clock import RealTime
from viralsync_mock.settings import Settings, shipped
from viralsync_mock.state import MockServer

SCENARIO = "name: mine\ndescription: {}\n"


@pytest.fixture
def scenario(tmp_path: Path) -> Path:
    """Return a scenario file that a test may edit."""
    return edited(tmp_path / "mine.yaml", "first")


def edited(file: Path, description: str) -> Path:
    """Write a scenario with this description."""
    file.write_text(SCENARIO.format(description))
    return file


def mock_of(file: Path, real: RealTime | None = None) -> MockServer:
    """Return a mock that plays a scenario file."""
    return MockServer.start(Settings(scenario=str(file), real=real or RealTime()))


def test_the_spec_the_scenario_and_the_behaviour_profile_are_watched(scenario: Path, tmp_path: Path) -> None:
    """Each file that the settings name is looked at."""
    behaviour = tmp_path / "b.yaml"
    settings = Settings(scenario=str(scenario), behaviour=behaviour)
    assert (settings.spec, scenario, behaviour) == watched(settings)


def test_a_shipped_scenario_is_watched_by_its_file() -> None:
    """A scenario given by name, in either spelling, stands for the file that ships."""
    file = shipped("fixtures/scenarios") / "scene-fails.yaml"
    assert [file, file] == [watched(Settings(scenario=name))[1] for name in ("scene-fails", "scene_fails")]


def test_a_look_tells_an_edit_by_time_and_by_size(scenario: Path) -> None:
    """Two looks at an untouched file are equal; a new size or a new time makes them differ."""
    before = read_stamps([scenario])
    assert before == read_stamps([scenario])
    stat = scenario.stat()
    edited(scenario, "longer than before")
    os.utime(scenario, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    grown = read_stamps([scenario])
    os.utime(scenario, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))
    assert len({str(stamps) for stamps in (before, grown, read_stamps([scenario]))}) == 3


def test_a_missing_file_has_no_stamp(tmp_path: Path) -> None:
    """A file that is not there is no reason to stop looking."""
    assert {tmp_path / "gone": None} == read_stamps([tmp_path / "gone"])


def test_nothing_is_read_while_nothing_changes(scenario: Path) -> None:
    """The same stamps twice leave the very files that were read."""
    mock, told = mock_of(scenario), list[str]()
    files, stamps = mock.files, read_stamps([scenario])
    poll(mock, stamps, stamps, told.append)
    assert (files, []) == (mock.files, told)


def test_a_changed_file_is_read_anew_and_named(scenario: Path) -> None:
    """After an edit the new scenario holds, and the log says which file it was."""
    mock, told = mock_of(scenario), list[str]()
    edited(scenario, "second")
    poll(mock, {scenario: (1, 1)}, {scenario: (2, 1)}, told.append)
    assert mock.files.scenario.description == "second"
    assert [f"reloaded {scenario}"] == told


def test_a_half_written_file_leaves_the_old_ones_and_says_why(scenario: Path) -> None:
    """An editor that has only truncated the file so far does no harm."""
    mock, told = mock_of(scenario), list[str]()
    scenario.write_text("")
    poll(mock, {scenario: (1, 1)}, {scenario: (2, 0)}, told.append)
    assert mock.files.scenario.description == "first"
    assert [f"still on the old files: {scenario}:1: the file is empty"] == told


def test_a_file_that_went_away_leaves_the_old_ones(scenario: Path) -> None:
    """A file that is deleted is reported like a broken one."""
    mock, told = mock_of(scenario), list[str]()
    scenario.unlink()
    poll(mock, {scenario: (1, 1)}, read_stamps([scenario]), told.append)
    assert mock.files.scenario.description == "first"
    assert [f"still on the old files: {scenario}: cannot be read: No such file or directory"] == told


def test_a_bug_while_reading_is_reported_and_survived(scenario: Path) -> None:
    """An error that nobody foresaw ends neither the server nor the watch."""
    bugs = list[str]()

    class Broken(MockServer):
        def reload(self) -> None:
            raise ZeroDivisionError

    mock = Broken.start(Settings(scenario=str(scenario)))
    mock.on_bug = lambda where, _: bugs.append(where)
    poll(mock, {scenario: (1, 1)}, {scenario: (2, 2)}, list[str]().append)
    assert [f"reload of {scenario}"] == bugs


async def test_the_watch_looks_every_half_second_until_it_is_cancelled(scenario: Path) -> None:
    """Each pause is half a second of real time, and each edit during one is read once."""
    edits = [SCENARIO.format("the second"), None, "", None]
    pauses, write = list[float](), scenario.write_text

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if not edits:
            raise asyncio.CancelledError
        if (text := edits.pop(0)) is not None:
            write(text)

    mock, told = mock_of(scenario, RealTime(sleep=sleep)), list[str]()
    with pytest.raises(asyncio.CancelledError):
        await watch(mock, read_stamps([scenario]), told.append)
    assert pauses == [POLL_SECONDS] * 5
    assert told == [f"reloaded {scenario}", f"still on the old files: {scenario}:1: the file is empty"]


async def test_a_file_that_the_spec_refers_to_is_watched_too(tmp_path: Path) -> None:
    """Also one that the spec refers to only since it was edited; a broken one leaves the old files."""
    spec, part = tmp_path / "spec.yaml", tmp_path / "scene.yaml"
    shipped_text = shipped("openapi.yaml").read_text("utf-8")
    scene = "additionalProperties: true\ntype: object\nrequired: [id]\nproperties: {id: {type: string}}\n"
    spec.write_text(shipped_text)
    part.write_text(scene)
    referring = shipped_text.replace("$ref: '#/components/schemas/Layer'\n", "$ref: './scene.yaml'\n")
    assert referring != shipped_text
    edits = [(spec, referring), (part, scene + "title: edited\n"), (part, "["), (part, scene)]

    async def sleep(_: float) -> None:
        if not edits:
            raise asyncio.CancelledError
        file, text = edits.pop(0)
        file.write_text(text)

    mock = MockServer.start(Settings(spec=spec, real=RealTime(sleep=sleep)))
    told = list[str]()
    with pytest.raises(asyncio.CancelledError):
        await watch(mock, read_stamps(watched(mock.settings)), told.append)
    assert [line.split(":")[0] for line in told] == [
        f"reloaded {spec}",
        f"reloaded {part.resolve()}",
        "still on the old files",
        f"reloaded {part.resolve()}",
    ]


async def test_a_file_that_a_scenario_responds_with_is_watched_too(tmp_path: Path) -> None:
    """The page of a rule is read anew when it is edited."""
    scenario, page = tmp_path / "pages.yaml", tmp_path / "page.html"
    scenario.write_text("rules:\n  - match: {operation: getMe}\n    respond: {status: 502, file: page.html}\n")
    page.write_text("first")
    edits = ["the second"]

    async def sleep(_: float) -> None:
        if not edits:
            raise asyncio.CancelledError
        page.write_text(edits.pop(0))

    mock, told = mock_of(scenario, RealTime(sleep=sleep)), list[str]()
    with pytest.raises(asyncio.CancelledError):
        await watch(mock, read_stamps([scenario]), told.append)
    assert told == [f"reloaded {page.resolve()}"]
    assert mock.files.scenario.document["rules"][0]["respond"]["body"] == "the second"
