"""The pytest plugin from outside: its fixtures in inner runs of pytest."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import threading
from urllib.parse import urlsplit

import pytest
from tests.support.pytester_runs import Run, passed, run

pytest_plugins = ["pytester"]
__all__ = ["run"]


def test_a_test_gets_an_api_where_jobs_end_at_once(run: Run) -> None:
    """Polling without a pause and reading the stream both get to the end."""
    source = """
def test_polls(viralsync):
    job = submit(viralsync)
    while get(viralsync, f"/v1/jobs/{job}").json()["status"] != "done":
        pass
    viralsync.assert_called("submitRenderJob", times=1)

def test_streams(viralsync):
    assert '"status":"done"' in get(viralsync, f"/v1/jobs/{submit(viralsync)}/progress").text
"""
    passed(run(source), 2)


def test_code_under_test_finds_the_api_in_the_environment(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both variables are set for the test, and what stood there is back after it, also when it failed."""
    monkeypatch.setenv("VIRALSYNC_API_KEY", "mine")
    monkeypatch.delenv("VIRALSYNC_BASE_URL", raising=False)
    source = """
def test_inside(viralsync):
    assert os.environ["VIRALSYNC_BASE_URL"] == viralsync.base_url
    assert os.environ["VIRALSYNC_API_KEY"] == viralsync.api_key

@pytest.mark.xfail(strict=True, raises=ZeroDivisionError)
def test_failing(viralsync):
    1 / 0

@pytest.mark.xfail(strict=True)
@pytest.mark.viralsync(clock="froze")
def test_not_opened(viralsync):
    pass

def test_outside():
    assert (os.environ.get("VIRALSYNC_BASE_URL"), os.environ["VIRALSYNC_API_KEY"]) == (None, "mine")
"""
    assert run(source).parseoutcomes() == {"passed": 2, "xfailed": 2}


def test_each_test_has_a_sandbox_of_its_own(run: Run) -> None:
    """Neither jobs nor changed accounts are seen by another test, parametrised ones included."""
    source = """
@pytest.mark.parametrize("turn", [1, 2])
def test_alone(viralsync, turn):
    assert get(viralsync, "/v1/jobs").json()["jobs"] == []
    assert viralsync.account()["minutes_used"] == 0
    submit(viralsync)
    viralsync.account(minutes_used=3)
"""
    passed(run(source), 2)


def test_a_sandbox_is_dropped_with_its_test(run: Run) -> None:
    """However many tests a run has, and whether they failed, the server keeps nothing of them."""
    source = """
@pytest.mark.xfail
def test_fails(viralsync):
    submit(viralsync)
    assert False

def test_after(viralsync_server):
    assert httpx.get(f"{viralsync_server.base_url}/__mock/health", verify=False).json()["sandboxes"] == 0
"""
    assert run(source).parseoutcomes() == {"passed": 1, "xfailed": 1}


KEYS = """
def test_first(viralsync):
    print("KEY first", viralsync.api_key)

def test_second(viralsync):
    print("KEY second", viralsync.api_key)
"""


def keys(result: pytest.RunResult) -> dict[str, str]:
    return dict(re.findall(r"KEY (\w+) (\w+)", result.stdout.str()))


def test_a_test_has_the_same_key_in_each_run_and_order(run: Run) -> None:
    """So its job ids are the same too, alone or among others."""
    in_order = keys(run(KEYS, "-s"))
    turned = keys(run(KEYS, "-s", "test_inner.py::test_second", "test_inner.py::test_first"))
    assert in_order == turned
    assert len(set(in_order.values())) == 2


def test_one_server_serves_the_whole_run_and_leaves_nothing_behind(run: Run) -> None:
    """After the run no thread is left and nobody listens, although tests failed."""
    before = set(threading.enumerate())
    source = """
def test_first(viralsync_server):
    print("URL", viralsync_server.base_url)

def test_second(viralsync, viralsync_webhooks, viralsync_server):
    assert viralsync.base_url == viralsync_server.base_url
    print("URL", viralsync_webhooks.url)
    submit(viralsync, callbackUrl=viralsync_webhooks.url)
    assert False
"""
    result = run(source, "-s")
    assert result.parseoutcomes() == {"passed": 1, "failed": 1}
    assert set(threading.enumerate()) <= before
    for url in set(re.findall(r"URL (\S+)", result.stdout.str())):
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((urlsplit(url).hostname, urlsplit(url).port))


def test_the_receiver_ends_with_its_test(run: Run) -> None:
    """Its threads do not pile up over a run."""
    source = """
THREADS = set()

def test_before(viralsync):
    THREADS.update(threading.enumerate())

@pytest.mark.parametrize("turn", range(3))
def test_receives(viralsync, viralsync_webhooks, turn):
    submit(viralsync, callbackUrl=viralsync_webhooks.url)
    viralsync_webhooks.wait_for("done")
    assert len(threading.enumerate()) > len(THREADS)

def test_after(viralsync):
    assert set(threading.enumerate()) == THREADS
"""
    passed(run(source), 5)


def test_settings_can_be_overridden(run: Run, pytester: pytest.Pytester) -> None:
    """A project's own settings hold for all its tests; those it leaves alone stay."""
    pytester.makeconftest(
        """
        from dataclasses import replace
        import pytest

        @pytest.fixture(scope="session")
        def viralsync_settings(viralsync_settings):
            return replace(viralsync_settings, scenario="free-plan")
        """
    )
    source = """
def test_inside(viralsync):
    assert (viralsync.scenario(), viralsync.clock.mode) == ("free-plan", "auto")
"""
    passed(run(source), 1)


def test_broken_settings_are_told_in_one_sentence(run: Run, pytester: pytest.Pytester) -> None:
    """No traceback of the kit stands before what is wrong."""
    pytester.makeconftest(
        """
        import pytest
        from viralsync_mock.settings import Settings

        @pytest.fixture(scope="session")
        def viralsync_settings():
            return Settings(scenario="hapy")
        """
    )
    result = run("def test_inside(viralsync): pass")
    result.stdout.fnmatch_lines(
        ["*ERROR at setup of test_inside*", 'viralsync: there is no scenario "hapy". Did you mean "happy"?', "*short*"],
        consecutive=True,
    )


def test_sandboxes_can_be_made_for_other_scopes_and_several_accounts(run: Run) -> None:
    """A module's sandbox keeps its jobs; two accounts of one test do not see each other's."""
    source = """
@pytest.fixture(scope="module")
def shared(make_viralsync):
    return make_viralsync("shared", clock="frozen")

def test_submits(shared):
    assert shared.clock.mode == "frozen"
    submit(shared)

def test_sees_it(shared):
    assert len(get(shared, "/v1/jobs").json()["jobs"]) == 1

def test_two_accounts(make_viralsync):
    free, pro = make_viralsync("free", plan="free"), make_viralsync("pro", plan="pro")
    submit(pro)
    assert free.account()["plan"] == "free"
    assert (len(free.jobs), len(pro.jobs)) == (0, 1)

def test_the_same_name_makes_another(make_viralsync):
    with make_viralsync("one") as first, make_viralsync("one") as second, make_viralsync() as third:
        assert len({first.api_key, second.api_key, third.api_key}) == 3
"""
    passed(run(source), 4)


def test_workers_run_side_by_side(run: Run) -> None:
    """Under xdist each worker has a mock of its own, and the keys are those of a run without."""
    source = """
@pytest.mark.parametrize("turn", range(8))
def test_alone(viralsync, viralsync_webhooks, make_viralsync, turn):
    make_viralsync("more")
    assert get(viralsync, "/v1/jobs").json()["jobs"] == []
    job = submit(viralsync, callbackUrl=viralsync_webhooks.url)
    viralsync_webhooks.wait_for("done", job)
"""
    passed(run(source, "-n", "2", subprocess=True), 8)


def test_sandboxes_are_isolated_while_threads_use_them_at_once(run: Run) -> None:
    """Ten sandboxes in ten threads each see their own job only."""
    source = """
from concurrent.futures import ThreadPoolExecutor

def test_at_once(make_viralsync):
    def work(number):
        with make_viralsync(f"account {number}") as sandbox:
            job = submit(sandbox)
            return [job] == [each["jobId"] for each in get(sandbox, "/v1/jobs").json()["jobs"]]
    with ThreadPoolExecutor(10) as pool:
        assert all(pool.map(work, range(10)))
"""
    passed(run(source), 1)


def test_asynchronous_tests_use_it(run: Run) -> None:
    """Under pytest-asyncio and under anyio: the mock has a thread of its own, which no waiting test holds up."""
    source = """
@pytest.fixture
def anyio_backend():
    return "asyncio"

async def render(viralsync):
    async with httpx.AsyncClient(base_url=viralsync.base_url, headers=viralsync.headers, verify=False) as client:
        job = (await client.post("/v1/render/jobs", json=MOVIE)).json()["jobId"]
        assert '"status":"done"' in (await client.get(f"/v1/jobs/{job}/progress")).text

@pytest.mark.asyncio
async def test_asyncio(viralsync):
    await render(viralsync)

@pytest.mark.anyio
async def test_anyio(viralsync):
    await render(viralsync)
"""
    passed(run(source), 2)


def test_unittest_classes_use_it(run: Run) -> None:
    """By `usefixtures` and the variables, or by a fixture of the class that hands it on; markers count too."""
    source = """
import unittest

@pytest.mark.usefixtures("viralsync")
class TestByVariables(unittest.TestCase):
    def test_usage(self):
        url, key = os.environ["VIRALSYNC_BASE_URL"], os.environ["VIRALSYNC_API_KEY"]
        assert httpx.get(f"{url}/v1/usage", headers={"x-api-key": key}, verify=False).status_code == 200

class TestByFixture(unittest.TestCase):
    @pytest.fixture(autouse=True)
    def _take(self, viralsync):
        self.viralsync = viralsync

    @pytest.mark.viralsync(scenario="scene-fails")
    def test_scenario(self):
        self.assertEqual(self.viralsync.scenario(), "scene-fails")
"""
    passed(run(source), 2)


def test_the_plugin_can_be_left_out(run: Run) -> None:
    """With `-p no:viralsync` there is neither fixture nor marker."""
    result = run("def test_inside(viralsync): pass", "-p", "no:viralsync")
    result.stdout.fnmatch_lines(["*fixture 'viralsync' not found*"])
    assert "@pytest.mark.viralsync" not in run("", "-p", "no:viralsync", "--markers").stdout.str()


def test_the_marker_explains_itself(run: Run) -> None:
    """`--markers` names every option."""
    run("", "--markers").stdout.fnmatch_lines(
        [
            "@pytest.mark.viralsync(scenario=..., plan=..., clock=..., seed=..., behaviour=..., strict=..., "
            "well_behaved=..., sleeps=..., exempt=..., state=...): "
            "options of the test's sandbox of the ViralSync mock; nearer markers win, option by option."
        ]
    )


def test_the_fixtures_explain_themselves(run: Run) -> None:
    """`--fixtures` says of each what it is, and its scope."""
    printed = run("", "--fixtures").stdout.str()
    shown = re.findall(r"^(\w*viralsync\w*)( \[session scope\])? -- .*\n    (\w+(?: \w+)+)", printed, re.MULTILINE)
    assert sorted(shown) == [
        ("make_viralsync", " [session scope]", "Call it as"),
        ("viralsync", "", "An API of the test"),
        ("viralsync_server", " [session scope]", "A running ViralSync mock on a free port"),
        ("viralsync_settings", " [session scope]", "How the mock is started"),
        ("viralsync_webhooks", "", "A receiver of webhooks"),
    ]


def test_loading_the_plugin_loads_nothing_else_of_the_kit() -> None:
    """A run of pytest that does not use it pays for small modules on pytest and the standard library alone."""
    program = """if True:
        import pytest, sys
        before = set(sys.modules)
        import viralsync_mock.pytest_plugin
        print(*set(sys.modules) - before)
    """
    printed = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout
    assert [name for name in printed.split() if not name.startswith("viralsync_mock.pytest_")] == ["viralsync_mock"]


def test_other_plugins_see_a_sandbox_before_it_is_dropped(run: Run, pytester: pytest.Pytester) -> None:
    """The hook is called once for each sandbox, whoever made it, also after a failed test."""
    pytester.makeconftest(
        """
        def pytest_viralsync_closing(config, sandbox, nodeid):
            print("CLOSING", nodeid, len(sandbox.journal))
        """
    )
    source = """
def test_passes(viralsync, make_viralsync):
    get(viralsync, "/v1/usage")
    make_viralsync("other").close()

def test_fails(viralsync):
    assert False
"""
    seen = re.findall(r"CLOSING (.*)", run(source, "-s").stdout.str())
    assert seen == ["test_inner.py::test_passes 1", "test_inner.py::test_fails 0", "make_viralsync('other') 0"]


STRICT = """
@pytest.mark.viralsync(strict=True)
def test_sloppy(viralsync):
    get(viralsync, "/v1/job/job_0123456789ab?x=1")
    with api(viralsync) as client:
        client.put("/v1/jobs")
        client.post("/v1/render/jobs", json={})
        client.post("/v1/render/jobs", content=b"{}", headers={"content-type": "text/plain"})
"""


def test_a_strict_test_fails_on_calls_that_the_api_does_not_take(run: Run) -> None:
    """The failure lists each with the reason, and is no traceback."""
    result = run(STRICT)
    assert result.parseoutcomes() == {"passed": 1, "errors": 1}
    result.stdout.fnmatch_lines(
        [
            "*ERROR at teardown of test_sloppy*",
            "viralsync, strict: the API does not take 4 of the calls that were made:",
            "  call_*_1 GET /v1/job/job_0123456789ab[?]x=1",
            "    404 NOT_FOUND: There is no route for GET /v1/job/job_0123456789ab.*",
            "  call_*_2 PUT /v1/jobs",
            "    405 METHOD_NOT_ALLOWED: PUT is not allowed on /v1/jobs. Allowed: GET*",
            "  call_*_3 POST /v1/render/jobs",
            "    400 *$.kind: required, but missing, and 2 more.",
            "  call_*_4 POST /v1/render/jobs",
            "    400 *",
            "*short test summary*",
        ],
        consecutive=True,
    )


def test_a_strict_test_passes_when_the_mock_itself_was_told_to_refuse(run: Run) -> None:
    """A job that is not there, a rule's answer and a fault's are none of the client's mistakes."""
    source = """
RULE = {"match": {"operation": "getUsage"}, "respond": {"error": "VALIDATION_ERROR"}}

@pytest.mark.viralsync(strict=True, scenario={"name": "refuses", "description": "All.", "rules": [RULE]})
def test_careful(viralsync):
    assert get(viralsync, "/v1/jobs/job_0123456789ab").status_code == 404
    assert get(viralsync, "/v1/usage").status_code == 400
"""
    passed(run(source), 1)


def test_a_fixture_that_is_not_used_makes_no_call(run: Run) -> None:
    """The mock never hears of its sandbox, and no connection is opened; the next test's first call opens one."""
    source = """
def test_untouched(viralsync, viralsync_server):
    assert viralsync_server.mock.sandboxes.get(viralsync.api_key) is None
    assert viralsync._connection._http is None

def test_used(viralsync, viralsync_server):
    submit(viralsync)
    assert len(viralsync_server.mock.sandboxes) == 1

def test_all_are_dropped(viralsync_server):
    assert len(viralsync_server.mock.sandboxes) == 0
"""
    passed(run(source), 3)
