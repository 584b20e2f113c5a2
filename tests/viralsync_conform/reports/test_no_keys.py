"""No API key gets into any artefact, wherever it was: a last line of defence behind the masks of the run itself."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import pytest
from tests.support.results import KEY, call, finding, job, life_steps, result, rich, stream, written
from tests.viralsync_conform.reports.test_page import everywhere

from viralsync_conform.calls import Event, Exchange
from viralsync_conform.contract.learned_behaviour import LearnedBehaviour
from viralsync_conform.reports import ARTEFACTS
from viralsync_conform.result import BaselineComparison, Fidelity, Result, StepDifference
from viralsync_mock.clock import EPOCH

PERCENT = "".join(f"%{ord(char):02X}" for char in KEY)
JSON_ESCAPED = "".join(f"\\u{ord(char):04x}" for char in KEY)
BASE64 = [base64.b64encode(b"x" * shift + KEY.encode()).decode()[4:-4] for shift in range(3)]


def leaks() -> list[str]:
    """Return the ways in which a key could stand in a file; of base64 the middle, the same at any offset."""
    return [KEY, KEY.upper(), PERCENT, quote(PERCENT), JSON_ESCAPED, KEY[8:], KEY[::-1], *BASE64]


def calls_with(key: str) -> tuple[Exchange, ...]:
    """Return calls with a key in every place that a call has."""
    told = life_steps()
    document = json.dumps({**job(told[0]), "echo": key, key: [key, f"Bearer {key}"]}).encode()
    whole = call(
        1, "getJob", url=f"/v1/jobs/{key}?key={quote(key)}&x={PERCENT}", path_parameters={"jobId": key},
        query={"key": key}, request_headers=(("x-api-key", key), ("authorization", f"Bearer {key}"), ("x-note", key)),
        headers=(("content-type", "application/json"), ("set-cookie", f"k={key}"), ("x-echo", key), ("location", key)),
        request_body=document, body=document, problem=f"failed with {key}", expected=key, step=key, account=key,
        journey=key,
    )  # fmt: skip
    basic = (("Authorization", f"Basic {base64.b64encode(key.encode()).decode()}"), ("Cookie", key))
    odd = call(2, "listJobs", body=f'{{"a": "{JSON_ESCAPED}"}}'.encode(), request_headers=basic, headers=basic)
    binary = call(3, "listJobs", body=b"\xff" + key.encode(), request_body=b"\xff\x00" + key.encode())
    events = (Event(key, key, json.dumps({**job(told[0]), "echo": key}), EPOCH),)
    streamed = replace(stream(told, 4), events=events, body=f"id: {key}\ndata: {key}\n\n".encode())
    lives = [call(5 + number, "getJob", job(step, key) | {"parentJobId": key}) for number, step in enumerate(told)]
    return (whole, odd, binary, streamed, *lives)


def leaky(key: str) -> Result:
    """Return a run with a key in every place."""
    seen = LearnedBehaviour()
    seen.learn("list.key", f"k_{key}", call(1))
    seen.learn("quota.check", key, call(1))
    seen.learn("errors.forbidden", key, call(1))
    seen.mark_unobservable("sse.resume", f"because {key}")
    known = finding(name=key, message=key)
    difference = StepDifference(key, key, key, key)
    return replace(
        everywhere(key),
        calls=calls_with(key),
        findings=(
            *everywhere(key).findings,
            *(finding(name=str(number), calls=(number,)) for number in range(1, 6)),
            known,
        ),
        learned=seen,
        fidelity=Fidelity(2, 1, (difference,)),
        baseline=BaselineComparison((), (known,), (key,), {"list.key": (key, key)}),
    )


@pytest.mark.parametrize("name", ARTEFACTS)
def test_no_key_is_in_any_artefact(tmp_path: Path, name: str) -> None:
    """Plain, percent-encoded once or twice, JSON-escaped, in base64: it was everywhere and is nowhere."""
    text = written(tmp_path, leaky(KEY))[name]
    assert [leak for leak in leaks() if leak in text] == []
    assert "***" in text.replace("\\", "")


def test_the_test_would_see_a_leak() -> None:
    """Each way to leak is found in a text that leaks in that way."""
    text = " ".join(
        (KEY, KEY.upper(), PERCENT, quote(PERCENT), JSON_ESCAPED, KEY[::-1], base64.b64encode(KEY.encode()).decode())
    )
    assert [leak for leak in (*leaks()[:7], BASE64[0][4:]) if leak not in text] == []


def test_what_is_no_key_stays(tmp_path: Path) -> None:
    """Masking changes no artefact in which there is nothing to mask but the header of the key."""
    texts = written(tmp_path, rich())
    assert "vs_prod_***" not in texts["report.json"] + texts["summary.md"] + texts["junit.xml"]
    assert json.loads(texts["traffic.har"])["log"]["entries"][0]["request"]["headers"][0]["value"] == "vs_prod_***"


def test_a_call_with_a_bearer_token_stays_one(tmp_path: Path) -> None:
    """The scheme of `authorization` is shown, the token is not."""
    bearer = call(1, "getMe", request_headers=(("authorization", "Bearer vs_prod_***"),))
    texts = written(tmp_path, result(finding(), calls=(bearer,)))
    assert "authorization: Bearer vs_prod_***" in texts["report.html"]
    assert '"value": "Bearer vs_prod_***"' in texts["traffic.har"]


@pytest.mark.parametrize("name", ["report.json", "traffic.har", "baseline.json"])
def test_masked_json_is_json(tmp_path: Path, name: str) -> None:
    """What hides a key leaves the document whole."""
    assert json.loads(written(tmp_path, leaky(KEY))[name])


def test_a_run_that_is_masked_already_is_written_as_it_is(tmp_path: Path) -> None:
    """The mask itself is no key to be masked again."""
    finished = result(finding(got="vs_prod_***"))
    assert "vs_prod_***" in written(tmp_path, finished)["report.json"]
