"""What is tested: URLs that are safe, the account under test, and what a mock lends."""

from __future__ import annotations

import pytest
from pytest_httpserver import HTTPServer
from tests.conftest import LiveServer, movie
from tests.support.fake_target import KEY

from viralsync_conform.clocks import RealClock, VirtualClock
from viralsync_conform.target import check_url, open_target, own_mock, seeded
from viralsync_conform.target.wire import TargetAwayError
from viralsync_mock.app import create_app
from viralsync_mock.client import Sandbox
from viralsync_mock.errors import ControlError, SettingsError
from viralsync_mock.server import BackgroundServer
from viralsync_mock.settings import Settings


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://api.viralsync.io", "https://api.viralsync.io"),
        ("https://api.viralsync.io/", "https://api.viralsync.io"),
        ("https://staging.example:8443/base/", "https://staging.example:8443/base"),
        ("http://127.0.0.1:4747", "http://127.0.0.1:4747"),
        ("http://localhost:4747", "http://localhost:4747"),
        ("http://[::1]:4747", "http://[::1]:4747"),
    ],
)
def test_a_base_url_loses_its_last_slash(url: str, expected: str) -> None:
    """What paths are appended to."""
    assert check_url(url) == expected


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("api.viralsync.io", "expected `mock` or a base URL"),
        ("ftp://api.viralsync.io", "expected `mock` or a base URL"),
        ("https://", "expected `mock` or a base URL"),
        ("", "expected `mock` or a base URL"),
        ("http://api.viralsync.io", "in clear text: use https"),
        ("http://127.0.0.1.evil.example", "in clear text: use https"),
        ("https://user:secret@api.viralsync.io", "a URL with a password"),
        ("https://api.viralsync.io?key=1", "without query and fragment"),
        ("https://api.viralsync.io#a", "without query and fragment"),
        ("https://api.viralsync.io:port", "expected a base URL"),
        ("https://[::1", "expected a base URL"),
    ],
)
def test_a_target_that_would_leak_or_is_none_is_refused(url: str, told: str) -> None:
    """Wrong use is told before anything is sent, and a password in the URL is not repeated."""
    with pytest.raises(SettingsError, match=told) as refusal:
        check_url(url)
    assert "secret" not in str(refusal.value)


def test_a_mock_lends_its_clock_and_gets_it_back(live_server: LiveServer) -> None:
    """While it is tested the account's clock stands; afterwards it goes on as it did, at the same rate."""
    for mode, rate in (("auto", None), ("real", 1.0), ("scaled", 25.0), ("frozen", None)):
        key = live_server.new_key()
        with Sandbox(live_server.base_url, key) as sandbox:
            if mode in {"real", "scaled"}:
                sandbox.clock.real(rate or 1)
            else:
                {"auto": sandbox.clock.auto, "frozen": sandbox.clock.freeze}[mode]()
            with open_target(live_server.base_url, key, "7") as target:
                assert (target.has_control, sandbox.clock.mode) == (True, "frozen")
            assert sandbox.clock.mode == mode
            assert rate is None or sandbox.clock.rate == rate


def test_throwaway_accounts_are_fresh_and_go_away(live_server: LiveServer) -> None:
    """Each has a key of its own, the same in every run of a seed, and nothing of it is left afterwards."""
    with open_target(live_server.base_url, live_server.new_key(), "7") as target:
        poor, rich = target.account("poor", plan="pro"), target.account("rich", plan="enterprise")
        assert len({target.main.key, poor.key, rich.key}) == 3
        assert poor.sandbox is not None
        assert (poor.sandbox.account()["plan"], poor.is_main, poor.sandbox.clock.mode) == ("pro", False, "frozen")
        target.http.post(f"{target.base_url}/v1/render/jobs", json=movie(), headers=poor.sandbox.headers)
        assert len(poor.sandbox.jobs) == 1
    with Sandbox(live_server.base_url, poor.key) as again:
        assert len(again.jobs) == 0


def test_a_mock_whose_control_api_is_forbidden_is_a_real_target(live_server: LiveServer) -> None:
    """Then it lends nothing, its clock is its own, and a key is needed."""
    with open_target(live_server.base_url, KEY, "7", uses_control=False) as target:
        assert (target.has_control, type(target.main.clock)) == (False, RealClock)
        with pytest.raises(SettingsError, match="only a mock"):
            target.account("poor")
    with pytest.raises(SettingsError, match="VIRALSYNC_API_KEY"):
        open_target(live_server.base_url, None, "7", uses_control=False).__enter__()


def test_a_server_on_this_machine_that_is_no_mock_needs_a_key(httpserver: HTTPServer) -> None:
    """Something else listens there, which has no accounts to lend."""
    httpserver.expect_request("/").respond_with_data("")
    with pytest.raises(SettingsError, match="no API key"), open_target(httpserver.url_for(""), None, "7"):
        pass


def test_a_target_that_is_away_is_said_to_be_before_anything_is_asked() -> None:
    """Nothing listens there: that is no verdict on the contract."""
    with pytest.raises(TargetAwayError, match="cannot be reached"), open_target("http://127.0.0.1:1", None, "7"):
        pass


def test_a_mock_that_went_away_is_let_go() -> None:
    """What cannot be given back any more must not hide what the run found."""
    server = BackgroundServer(create_app(Settings())).start()
    with open_target(server.base_url, None, "7") as target:
        target.account("poor")
        server.stop()
    assert target.http.is_closed


def test_the_own_mock_has_jobs_to_read() -> None:
    """A run that submits nothing must find something: two jobs of the mock, done."""
    with own_mock(None, "7") as url, open_target(url, None, "7") as target:
        seeded(target, "business", with_jobs=True)
        headers = {"x-api-key": target.main.key}
        page = target.http.get(f"{url}/v1/jobs", headers=headers).json()
        me = target.http.get(f"{url}/v1/me", headers=headers).json()
    assert ([job["status"] for job in page["jobs"]], me["plan"]) == (["done", "done"], "business")


def test_a_virtual_clock_goes_where_it_is_told(live_server: LiveServer) -> None:
    """It waits in no time, steps to what comes next, and where nothing comes it goes on by a minute."""
    with open_target(live_server.base_url, live_server.new_key(), "7") as target:
        clock = target.main.clock
        assert isinstance(clock, VirtualClock)
        start = clock.now()
        clock.wait(90)
        clock.wait(0)
        assert (clock.now() - start).total_seconds() == 90
        clock.wait_for_change(1)
        assert (clock.now() - start).total_seconds() == 90 + clock.idle_seconds
        clock.until(start.replace(year=start.year + 1))
        assert clock.now() == start.replace(year=start.year + 1)


def test_a_refusal_of_the_control_api_is_not_hidden(live_server: LiveServer) -> None:
    """Only that nothing is due is no trouble."""
    with Sandbox("http://127.0.0.1:1", live_server.new_key()) as away, pytest.raises(ControlError):
        VirtualClock(away).wait_for_change(0)


def test_a_mock_needs_no_key(live_server: LiveServer) -> None:
    """The run makes one up, well-formed, and the same for the same seed."""
    keys = []
    for _ in range(2):
        with open_target(live_server.base_url, None, "9") as target:
            keys.append(target.main.key)
            answer = target.http.get(f"{live_server.base_url}/v1/me", headers={"x-api-key": keys[-1]})
            assert answer.status_code == 200
    assert keys[0] == keys[1]
