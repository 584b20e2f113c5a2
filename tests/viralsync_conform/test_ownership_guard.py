"""The own-ids guard: whatever path somebody thinks up, nothing foreign is touched."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from viralsync_conform.ownership_guard import ForeignIdError, OwnershipGuard

OWN, FOREIGN = "job_0000000000aa", "job_0000000000bb"
SUBMIT = "/v1/render/jobs"
PLAIN = (SUBMIT, "/v1/jobs", "/v1/me", "/v1/usage")
UNSAFE = ("POST", "DELETE", "PUT", "PATCH", "delete", "TRACE", "CONNECT")
ALLOWED = {
    f"/v1/jobs/{job}{rest}"
    for job in (OWN, f"scene_{OWN}_001", f"scene_{OWN}_12", f"assemble_{OWN}")
    for rest in ("", "/cancel", "/progress")
}

PIECES = st.sampled_from(
    [
        "/v1/jobs/", "/v1/jobs", "/V1/Jobs/", OWN, FOREIGN, OWN.upper(), f"scene_{OWN}_001", f"scene_{FOREIGN}_001",
        "/", "//", "/.", "/..", "..", "%2e%2e", "%2F", "%2f", "%5c", "\\", ";", "?", "#", "&jobId=", "%00", "\n", " ",
        "/cancel", "/progress", "%63ancel", "\u0661",
    ]
)  # fmt: skip
PATHS = st.lists(PIECES | st.text(max_size=3), max_size=7).map("".join) | st.sampled_from(sorted(ALLOWED))


def guard() -> OwnershipGuard:
    return OwnershipGuard([OWN])


def lets_through(method: str, path: str, *, has_body: bool = False) -> bool:
    try:
        guard().check(method, path, SUBMIT, has_body, PLAIN)
    except ForeignIdError:
        return False
    return True


@given(st.sampled_from(UNSAFE), PATHS, st.booleans())
@example("DELETE", f"/v1/jobs/{OWN}/../{FOREIGN}", False)
@example("DELETE", f"/v1/jobs/{OWN}%2f..%2f{FOREIGN}", False)
@example("POST", f"/v1//jobs/{FOREIGN}/cancel", False)
@example("POST", f"/v1/./jobs/{FOREIGN}/cancel", False)
@example("POST", f"/v1/%6aobs/{FOREIGN}/cancel", False)
@example("POST", f"/V1/JOBS/{FOREIGN}/cancel", False)
@example("DELETE", f"/v1/jobs/{OWN}/cancel\n", False)
def test_no_unsafe_call_leaves_the_paths_of_own_jobs(method: str, path: str, has_body: bool) -> None:
    """Of all paths only those of own jobs and their children pass, letter by letter; beside them, plain POSTs."""
    is_plain_post = method == "POST" and (path == SUBMIT or (path in PLAIN and not has_body))
    assert lets_through(method, path, has_body=has_body) == (is_plain_post or _is_of_an_own_job(path))


def _is_of_an_own_job(path: str) -> bool:
    start, _, rest = path.removeprefix("/v1/jobs/").partition("/")
    is_letters = not rest or (rest.isascii() and rest.isalpha() and rest.islower())
    has_rest = path.removeprefix("/v1/jobs/") == (f"{start}/{rest}" if rest else start)
    number = start.removeprefix(f"scene_{OWN}_")
    is_child = number != start and number.isascii() and number.isdecimal()
    return path.startswith("/v1/jobs/") and has_rest and is_letters and (start in {OWN, f"assemble_{OWN}"} or is_child)


@pytest.mark.parametrize("path", sorted(ALLOWED))
@pytest.mark.parametrize("method", ["DELETE", "POST"])
def test_own_jobs_and_their_children_may_be_touched(method: str, path: str) -> None:
    """What the run created it may cancel and delete, and try with methods that are not there."""
    assert lets_through(method, path)


@pytest.mark.parametrize("method", ["GET", "head", "OPTIONS"])
def test_reading_is_always_allowed(method: str) -> None:
    """A safe method changes nothing, on whatever it is called."""
    assert lets_through(method, f"/v1/jobs/{FOREIGN}")


@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/me", "/v1/usage"])
def test_a_post_to_a_plain_path_is_sent_without_a_body_only(path: str) -> None:
    """A POST that must be refused with 405 has nothing in it that could be taken for an order."""
    assert lets_through("POST", path)
    assert not lets_through("POST", path, has_body=True)
    assert not lets_through("DELETE", path)


def test_submissions_may_have_a_body() -> None:
    """That is the one order which makes something of its own."""
    assert lets_through("POST", SUBMIT, has_body=True)
    assert not lets_through("PUT", SUBMIT, has_body=True)


@pytest.mark.parametrize("job_id", ["..", ".", "", "../me", "a/b", "x y", "%2e%2e", ".hidden"])
def test_an_id_that_is_more_than_a_segment_is_not_trusted(job_id: str) -> None:
    """A target that gives such an id cannot lead the clean-up astray."""
    mine = OwnershipGuard()
    mine.own(job_id)
    for path in (f"/v1/jobs/{job_id}", f"/v1/jobs/{quote(job_id, safe='')}"):
        with pytest.raises(ForeignIdError, match="was not sent"):
            mine.check("DELETE", path, SUBMIT, False, PLAIN)


def test_ids_of_another_form_than_the_samples_are_own_as_well() -> None:
    """Clients treat an id as opaque, and so does the guard."""
    mine = OwnershipGuard()
    for job_id in ("7f9c2b1e-5a1d-4c1e-9b43-0d1f3c2b1a09", "A.b~c", "42"):
        mine.own(job_id)
        mine.check("DELETE", f"/v1/jobs/{job_id}", SUBMIT, False, PLAIN)


def test_a_job_is_remembered_once() -> None:
    """A deleted job stays own: it may be deleted again, to see that refused."""
    mine = guard()
    mine.own(OWN)
    assert mine.created == [OWN]
