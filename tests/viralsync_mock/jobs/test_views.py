"""A job as its views show it: documents, events, timestamps, and what server-sent events are made of."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from viralsync_mock.clock import EPOCH
from viralsync_mock.jobs import sse
from viralsync_mock.jobs.models import Job, Phase, Status, add_seconds, parse_timestamp, timestamp, whole_milliseconds
from viralsync_mock.jobs.timeline import Duration, Failure, JobTimings, RenderOrder, plan_slices
from viralsync_mock.jobs.views import Subject, event_document, job_document_at, media_data, parse_child_id

PAYLOAD = b'{"projectId":"proj_1","movie":{"scenes":[{"duration":5},{"duration":0.001}]}}'
TEMPLATE = "https://cdn.example/{jobId}.mp4"
LATE = add_seconds(EPOCH, 100_000)


def subject(failure: Failure | None = None, number: int | None = None, size: int = 1080) -> Subject:
    recipe = (RenderOrder([5, 0.001], 1, EPOCH, lambda *_: 0.5), JobTimings(assembling=Duration(4), fail=failure))
    job = Job("job_0123456789ab", 1, EPOCH, "render", PAYLOAD, 5.001, size, size, plan_slices, recipe)
    return Subject(job, number)


def shown(of: Subject) -> dict[str, object]:
    return job_document_at(of, of.look(LATE), TEMPLATE)


@pytest.mark.parametrize("at", [0.5, 1.0])
def test_no_child_of_a_job_that_failed_in_assembling_has_an_output(at: float) -> None:
    """Parent and assemble child are failed, also when assembling failed at its very end."""
    failure = Failure("ASSEMBLE_FAILED: no", phase=Phase.ASSEMBLING, at=at)
    documents = [shown(subject(failure, number)) for number in (None, 0)]
    assert [(each["status"], each["outputUrl"], each["mediaData"]) for each in documents] == [
        ("failed", None, None)
    ] * 2


def test_a_cancelled_child_of_a_failed_job_has_no_error() -> None:
    """The error is that of what failed."""
    failure = Failure("SCENE_RENDER_FAILED: no", scene=1)
    documents = [shown(subject(failure, number)) for number in (None, 1, 2, 0)]
    assert [(each["status"], each["error"]) for each in documents] == [
        ("failed", "SCENE_RENDER_FAILED: no"),
        ("failed", "SCENE_RENDER_FAILED: no"),
        ("cancelled", None),
        ("cancelled", None),
    ]


def test_a_done_job_has_an_output_and_its_media_data_and_no_error() -> None:
    """Its events have them too, and neither phase nor counts."""
    of = subject()
    document, event = shown(of), event_document(of, of.look(LATE), TEMPLATE)
    assert (document["outputUrl"], document["error"]) == ("https://cdn.example/job_0123456789ab.mp4", None)
    assert document["mediaData"] == event["mediaData"] == media_data(of)
    assert event.keys() & {"phase", "children", "error"} == set()


def test_an_output_has_at_least_one_byte() -> None:
    """Also that of a scene of a millisecond."""
    assert media_data(subject(number=2, size=1))["fileSize"] == 1


def test_the_length_of_a_child_is_its_scenes() -> None:
    """The assemble child is as long as the movie."""
    assert [subject(number=number).seconds for number in (None, 0, 1, 2)] == [5.001, 5.001, 5, 0.001]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("scene_job_1_002", ("job_1", 2)),
        ("assemble_job_1", ("job_1", 0)),
        ("scene_job_1_02", None),
        ("scene_job_1", None),
        ("job_1", None),
        ("assemble_", None),
    ],
)
def test_ids_of_children_name_their_parent(text: str, expected: tuple[str, int] | None) -> None:
    """`scene_<parent>_<three digits>` and `assemble_<parent>`."""
    assert parse_child_id(text) == expected


def test_instants_are_written_with_milliseconds_and_z() -> None:
    """Zero milliseconds too; what is smaller is cut off."""
    assert timestamp(datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)) == "2026-01-02T03:04:05.000Z"
    assert timestamp(datetime(2026, 1, 2, 3, 4, 5, 67_999, tzinfo=UTC)) == "2026-01-02T03:04:05.067Z"
    assert whole_milliseconds(datetime(2026, 1, 2, 3, 4, 5, 67_999, tzinfo=UTC)).microsecond == 67_000


def test_instants_are_read_with_their_offset() -> None:
    """One without an offset could be any instant."""
    assert parse_timestamp("2026-01-01T01:00:00+01:00") == EPOCH
    with pytest.raises(ValueError, match="an offset such as Z is missing"):
        parse_timestamp("2026-01-01T00:00:00")


def test_only_three_statuses_are_terminal() -> None:
    """A job with one of them never changes again."""
    assert [each for each in Status if each.is_terminal] == [Status.DONE, Status.FAILED, Status.CANCELLED]


@pytest.mark.parametrize(
    ("header", "expected"),
    [(b"7", 7), (b" 7 ", 7), (b"0", 0), (None, None), (b"", None), (b"-1", None), (b"x", None), (b"9" * 10, None)],
)
def test_a_last_event_id_that_cannot_be_ours_reads_as_none(header: bytes | None, expected: int | None) -> None:
    """As on a first connection."""
    assert sse.last_event_id(header) == expected


def test_an_event_is_written_with_its_id_and_read_again() -> None:
    """With other data its id and name stay."""
    event = sse.encode(b'{"a":1}', id=3, event="progress")
    assert event == b'event: progress\nid: 3\ndata: {"a":1}\n\n'
    assert sse.document(sse.with_document(event, {"b": 2})) == {"b": 2}
    assert sse.with_document(event, {"b": 2}).startswith(b"event: progress\nid: 3\n")
