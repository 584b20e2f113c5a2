"""`timings.yaml`: the mock renders as long as the target did."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.support.results import call, job, life_steps, polls, result, spec, stream, written

from viralsync_conform.calls import Exchange
from viralsync_conform.reports import write_reports
from viralsync_mock.clock import EPOCH
from viralsync_mock.config.yaml_source import read_yaml
from viralsync_mock.errors import ScenarioError
from viralsync_mock.jobs.models import Status, timestamp
from viralsync_mock.jobs.timeline import Duration, JobTimings, SceneTimings
from viralsync_mock.scenarios.loader import load_scenario
from viralsync_mock.scenarios.model import Scenario

PACE = JobTimings(
    Duration(2.5), Duration(0.75), Duration(0.25), SceneTimings(Duration(6.0), 0.0, 5), Duration(8.125), Duration(3)
)


def measured(folder: Path, calls: Sequence[Exchange]) -> Scenario:
    """Return the scenario that the calls make, as the mock loads it."""
    write_reports(result(calls=tuple(calls)), folder)
    return load_scenario(folder / "timings.yaml", spec())


def streamed(pace: JobTimings, scenes: Sequence[float] = (1.0,), number: int = 1) -> list[Exchange]:
    """Return a stream that saw a whole life, and a poll that tells of the movie."""
    job_id, told = f"job_{number:012}", life_steps(pace, scenes)
    return [stream(told, number, job_id), *polls(told[:1], number + 1, job_id, scenes)]


def test_one_life_that_was_streamed_is_measured_to_the_millisecond(tmp_path: Path) -> None:
    """The scenario is called `measured`, and has the pace of the target."""
    scenario = measured(tmp_path, streamed(PACE))
    assert (scenario.name, scenario.job) == ("measured", PACE)


@pytest.mark.parametrize("scenes", [(1.0, 2.5), (2.0, 2.0, 2.0, 2.0), (0.5, 1.0, 3.0, 3.0, 3.0, 3.0, 2.0)])
def test_scenes_that_render_in_rounds_are_measured_by_the_round(tmp_path: Path, scenes: tuple[float, ...]) -> None:
    """More scenes than workers take several rounds, each as long as its longest scene."""
    assert measured(tmp_path, streamed(PACE, scenes)).job.scene.per_output_second == Duration(6.0)


def test_short_and_long_scenes_tell_the_least_that_a_scene_takes(tmp_path: Path) -> None:
    """The longest tell what a second costs; the shortest, what no scene goes below."""
    pace = replace(PACE, scene=SceneTimings(Duration(3.0), 2.0, 4))
    calls = [*streamed(pace, (0.25,)), *streamed(pace, (10.0,), 10)]
    assert measured(tmp_path, calls).job.scene == pace.scene


def test_of_several_lives_it_is_the_median(tmp_path: Path) -> None:
    """One slow night does not make the mock slow."""
    calls = [
        each
        for number, seconds in enumerate((1.0, 2.0, 90.0))
        for each in streamed(replace(PACE, queued=Duration(seconds)), number=number * 10 + 1)
    ]
    assert measured(tmp_path, calls).job.queued == Duration(2.0)


def test_lives_that_were_seen_whole_count_before_others(tmp_path: Path) -> None:
    """Polls that miss a phase would add it to the one before."""
    told = life_steps(PACE)
    gaps = [step for step in told if step.phase not in {"planning", "dispatching"}]
    calls = [*streamed(PACE), *polls(gaps, 20, "job_b"), *polls(gaps, 40, "job_c")]
    assert measured(tmp_path, calls).job == PACE


def test_a_step_that_was_cut_short_is_not_measured(tmp_path: Path) -> None:
    """A cancel tells how long somebody waited, not how long rendering takes."""
    told = life_steps(PACE)[:4]
    instant = timestamp(told[-1].at + timedelta(seconds=1))
    ended = job(told[-1]) | {"status": "cancelled", "phase": None, "updatedAt": instant}
    scenario = measured(tmp_path, [*polls(told), call(9, "cancelJob", ended)])
    assert set(scenario.document["job"]) == {"queued", "planning", "dispatching"}


@pytest.mark.parametrize("calls", [(), (call(1, "getJob", job(life_steps()[-1])),)])
def test_without_a_life_there_is_no_job_part(tmp_path: Path, calls: tuple[Exchange, ...]) -> None:
    """A comment says so; a job that had ended when it was first seen has no life to tell."""
    scenario = measured(tmp_path, calls)
    text = (tmp_path / "timings.yaml").read_text("utf-8")
    assert "job" not in scenario.document
    assert "# No job was seen from step to step" in text


@pytest.mark.parametrize(
    "odd",
    [
        {"createdAt": "0001-01-01T00:00:00Z"},
        {"status": "re\u2028: {[\n", "phase": "\ud83d\ude00 null"},
        {"phase": "waiting"},
    ],
)
def test_whatever_a_target_tells_the_file_loads(tmp_path: Path, odd: dict[str, Any]) -> None:
    """Instants before our era, texts that are YAML, phases that nobody knows."""
    told = life_steps()
    calls = [call(number, "getJob", job(step) | (odd if number < 4 else {})) for number, step in enumerate(told, 1)]
    assert measured(tmp_path, calls).name == "measured"


def test_how_often_events_came_is_told(tmp_path: Path) -> None:
    """As is how often keep-alives did, and how long each status and phase was seen."""
    quiet = replace(stream(life_steps()), comments=tuple(EPOCH + timedelta(seconds=15 * each) for each in range(3)))
    write_reports(result(calls=(quiet,)), tmp_path)
    told = read_yaml(tmp_path / "timings.yaml", ScenarioError).value["x-measured"]
    assert told["between_events"] == {"seen": 9, "shortest": 0.3, "median": 0.75, "longest": 4.0}
    assert told["between_keep_alives"] == {"seen": 2, "shortest": 15.0, "median": 15.0, "longest": 15.0}
    assert told["stretches"][4]["phase"] == "assembling"


def test_a_life_in_another_reading_is_measured_alike(tmp_path: Path) -> None:
    """Phases are told apart by their names, whatever status goes with them."""
    told = [step._replace(status=Status.RUNNING) if step.phase else step for step in life_steps(PACE)]
    calls = [stream(told), *polls(told[:1], 2)]
    assert measured(tmp_path, calls).job == PACE
    assert "status: running, phase: rendering" in written(tmp_path, result(calls=tuple(calls)))["timings.yaml"]
