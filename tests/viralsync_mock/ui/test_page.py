"""The page in a real browser: each screen does what it says, and the API does it too."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import movie
from tests.viralsync_mock.ui.conftest import Visitor

pytestmark = [pytest.mark.needs_chromium, pytest.mark.slow]
playwright = pytest.importorskip("playwright.sync_api", reason="needs Playwright: pip install '.[dev]'")
expect = playwright.expect
expect.set_options(timeout=20_000)


def press(visitor: Visitor, name: str, *, exact: bool = True) -> None:
    """Press the button of this name."""
    visitor.page.get_by_role("button", name=name, exact=exact).first.click()


def in_detail(visitor: Visitor) -> Any:
    return visitor.page.locator(".detail")


# ---------------------------------------------------------------- the way in


def test_the_root_gives_a_key_and_leads_to_the_page(visitor: Visitor) -> None:
    """A key that the API takes, three lines of curl, the page, and the rendered spec."""
    page = visitor.page
    page.goto(f"{visitor.server.base_url}/")
    expect(page.locator("#key")).to_have_text(re.compile(r"^vs_prod_[a-z0-9]{32}$"))
    assert len(page.locator("#curl").inner_text().splitlines()) == 3
    key = page.locator("#key").inner_text()
    page.get_by_role("link", name="The page").click()
    expect(page.locator("#link")).to_have_text("live")
    assert page.url.endswith(f"/__mock/ui#key={key}")


def test_the_spec_is_rendered(visitor: Visitor) -> None:
    """Every operation of the API, and of the control API."""
    page = visitor.page
    page.goto(f"{visitor.server.base_url}/__mock/ui/spec.html")
    spec = visitor.control("GET", "/spec")
    number = sum(1 for item in spec["paths"].values() for each in item if each in ("get", "post", "delete"))
    expect(page.locator("details.op")).to_have_count(number)
    page.get_by_role("link", name="The control API").click()
    expect(page.locator("#streamEvents")).to_be_visible()


def test_without_a_key_the_page_asks_for_one(visitor: Visitor) -> None:
    """Or makes one up."""
    visitor.page.goto(f"{visitor.server.base_url}/__mock/ui")
    press(visitor, "Make up a key")
    expect(visitor.page.locator("#link")).to_have_text("live")


# ---------------------------------------------------------------- time


def test_the_clock_is_moved_and_its_effects_are_listed(visitor: Visitor) -> None:
    """One second, thirty, to the next step, until all is done; what happened comes in order."""
    page, job_id = visitor.open(), visitor.submit()
    expect(page.locator(".overview")).to_contain_text(job_id)
    press(visitor, "+1 s")
    expect(page.locator(".now")).to_have_text("00:00:01.000")
    expect(page.locator(".effects li").first).to_contain_text("running · planning")
    press(visitor, "Next step")
    expect(page.locator(".now")).to_have_text("00:00:01.500")
    press(visitor, "Until done")
    expect(page.locator(".moves details").first.locator("li").last).to_contain_text("render minutes charged")
    assert visitor.api.get(f"/v1/jobs/{job_id}").json()["status"] == "done"
    press(visitor, "+30 s")
    expect(page.locator("#live")).to_have_text(re.compile(r"^\d\d:\d\d:\d\d: 0 things happened|Clock frozen"))


def test_every_mode_can_be_chosen(visitor: Visitor) -> None:
    """The button that is pressed shows the mode, also when another client changes it."""
    page = visitor.open()
    for name, mode in (("real", "real"), ("frozen", "frozen"), ("auto", "auto"), ("jumping", "jump")):
        press(visitor, name)
        expect(page.locator(f"[data-mode={mode}]")).to_have_attribute("aria-pressed", "true")
        assert visitor.control("GET", "/clock")["mode"] == mode
    page.get_by_label("Times as fast").fill("50")
    visitor.page.locator("[data-mode=scaled]").click()
    expect(page.locator(".note").first).to_contain_text("50")
    assert visitor.control("GET", "/clock")["rate"] == 50
    visitor.control("PATCH", "/clock", {"mode": "frozen"})
    expect(page.locator("[data-mode=frozen]")).to_have_attribute("aria-pressed", "true")


def test_a_flowing_clock_flows_on_the_page(visitor: Visitor) -> None:
    """Without a request: the page knows the rate."""
    page, job_id = visitor.open("jobs"), visitor.submit()
    visitor.control("PATCH", "/clock", {"rate": 1000})
    expect(page.locator(".rows .s.done")).to_have_text("done")
    page.locator(".rowlink", has_text=job_id).click()
    expect(in_detail(visitor)).to_contain_text("100 %")


def scrub(visitor: Visitor, share: float) -> None:
    """Move the scrubber to this share of the past."""
    visitor.page.get_by_label("Look at the past").fill(str(round(1000 * share)))


def test_the_past_shows_every_list_as_it_was(visitor: Visitor) -> None:
    """Jobs, calls and webhooks of an earlier instant; then back to now."""
    first = visitor.submit(callbackUrl="http://inbox.localhost/hook")
    page = visitor.open("jobs")
    visitor.control("POST", "/clock/advance", {"seconds": 40})
    visitor.submit()
    expect(page.locator(".count")).to_have_text("2 of 2")
    scrub(visitor, 0.05)
    expect(page.locator(".now")).to_have_text("00:00:02.000")
    expect(page.locator(".count")).to_have_text("1 of 1")
    expect(page.locator(".rows .s")).to_have_text(re.compile("waiting"))
    page.locator(".rowlink", has_text=first).click()
    expect(in_detail(visitor).locator("fieldset")).to_have_attribute("disabled", "")
    page.get_by_role("link", name="Calls", exact=True).click()
    expect(page.locator(".count")).to_have_text("1 of 1")
    page.get_by_role("link", name="Webhooks").click()
    outbox = page.get_by_role("table", name="Outbox")
    at_that_time = outbox.locator(".rows .tr").count()
    page.keyboard.press("Escape")
    expect(page.locator("body")).not_to_have_class(re.compile("in-past"))
    expect(outbox.locator(".rows .s").first).to_have_text("delivered")
    assert at_that_time < outbox.locator(".rows .tr").count()


def test_the_keyboard_suffices(visitor: Visitor) -> None:
    """Screens by number, the clock by letter, the filter by a slash, the list of shortcuts by a question mark."""
    page = visitor.open()
    page.keyboard.press("3")
    expect(page).to_have_title("Calls · ViralSync mock")
    page.keyboard.press("S")
    expect(page.locator(".now")).to_have_text("00:00:30.000")
    page.keyboard.press("f")
    expect(page.locator("[data-mode=real]")).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("f")
    page.keyboard.press("/")
    expect(page.get_by_label("Filter calls")).to_be_focused()
    page.get_by_label("Filter calls").blur()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_contain_text("Keyboard shortcuts")
    page.keyboard.press("Escape")
    page.locator("#skip").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()


# ---------------------------------------------------------------- jobs


def test_a_shipped_movie_is_submitted_and_its_timeline_drawn(visitor: Visitor) -> None:
    """With a lane for each child, and its webhooks as marks."""
    page = visitor.open("jobs")
    press(visitor, "Submit a job …")
    page.get_by_label("Shipped movie").select_option("summer-promo")
    page.get_by_label("Send its webhooks to the built-in receiver").check()
    expect(page.locator(".problems")).to_have_text("Valid.")
    press(visitor, "Submit")
    expect(in_detail(visitor).locator(".lanes .name")).to_contain_text(
        ["job", "scene 1", "scene 2", "scene 3", "assemble"]
    )
    press(visitor, "+30 s")
    expect(in_detail(visitor).locator(".lanes .name").last).to_have_text("webhooks")
    assert visitor.control("GET", "/inbox")["total"] > 0


def test_a_broken_submission_is_told_before_it_is_sent(visitor: Visitor) -> None:
    """What the API will refuse, and the nearest valid one in one click."""
    page = visitor.open("jobs")
    press(visitor, "Submit a job …")
    editor = page.get_by_label("The submission as JSON")
    expect(editor).not_to_be_empty()
    editor.fill("{")
    expect(page.get_by_role("button", name="Submit", exact=True)).to_be_disabled()
    editor.fill(json.dumps(movie(kind="film")))
    expect(page.locator(".problems")).to_contain_text("$.kind")
    press(visitor, "Use the nearest valid one")
    expect(page.locator(".problems")).to_have_text("Valid.")
    press(visitor, "Submit")
    expect(page.locator(".count")).to_have_text("1 of 1")


@pytest.mark.parametrize(("button", "status"), [("Fail", "failed"), ("Finish", "done"), ("Cancel", "cancelled")])
def test_a_job_is_ended_now(visitor: Visitor, button: str, status: str) -> None:
    """The API tells the same."""
    job_id = visitor.submit()
    page = visitor.open("jobs", id=job_id)
    if button == "Fail":
        page.get_by_label("Error").select_option("UPLOAD_FAILED")
    press(visitor, button)
    expect(in_detail(visitor).locator(".s").first).to_have_text(status)
    job = visitor.api.get(f"/v1/jobs/{job_id}").json()
    assert (job["status"], str(job["error"]).partition(":")[0]) == (
        status,
        "UPLOAD_FAILED" if button == "Fail" else "None",
    )


def test_a_job_is_held_and_its_progress_set(visitor: Visitor) -> None:
    """Held for ever, it stands still; its progress is raised."""
    job_id = visitor.submit()
    page = visitor.open("jobs", id=job_id)
    press(visitor, "+1 s")
    page.get_by_label("Least progress from now on").fill("80")
    press(visitor, "Set progress")
    expect(in_detail(visitor).locator(".lead")).to_contain_text("80 %")
    page.get_by_label("How long").select_option("for ever")
    press(visitor, "Hold")
    expect(in_detail(visitor).locator(".lead")).to_contain_text("never ends by itself")
    assert visitor.control("GET", f"/jobs/{job_id}")["endsAt"] is None


# ---------------------------------------------------------------- calls


def test_a_call_appears_by_itself_and_is_explained(visitor: Visitor) -> None:
    """In words, with the nearest valid body beside what was sent."""
    page = visitor.open("calls")
    visitor.api.post("/v1/render/jobs", json=movie(kind="film"))
    page.locator(".rowlink").first.click()
    expect(in_detail(visitor).locator(".why")).to_contain_text('expected "movie", got "film"')
    expect(in_detail(visitor).locator("del")).to_contain_text('"kind": "film"')
    expect(in_detail(visitor).locator("ins")).to_contain_text('"kind": "movie"')


def test_calls_are_filtered(visitor: Visitor) -> None:
    """By words and by status."""
    page = visitor.open("calls")
    for path in ("/v1/me", "/v1/usage", "/v1/jobs/job_none"):
        visitor.api.get(path)
    expect(page.locator(".count")).to_have_text("3 of 3")
    page.get_by_label("Filter calls").fill("getUsage")
    expect(page.locator(".count")).to_have_text("1 of 3")
    page.get_by_label("Filter calls").fill("")
    page.get_by_label("Status").select_option("4xx")
    expect(page.locator(".rows .st")).to_have_text("404 JOB_NOT_FOUND")


def test_a_call_is_copied_as_curl_and_all_as_har(visitor: Visitor, tmp_path: Path) -> None:
    """The command has no key in it."""
    visitor.context.grant_permissions(["clipboard-read", "clipboard-write"])
    visitor.api.get("/v1/usage")
    page = visitor.open("calls")
    page.locator(".rowlink").first.click()
    press(visitor, "Copy as curl")
    expect(page.locator("#toast")).to_have_text("Copied the command.")
    command = page.evaluate("navigator.clipboard.readText()")
    assert "/v1/usage" in command
    assert visitor.key not in command
    with page.expect_download() as download:
        press(visitor, "HAR")
    download.value.save_as(tmp_path / "har")
    assert len(json.loads((tmp_path / "har").read_text())["log"]["entries"]) == 1


def test_a_list_that_grows_keeps_the_focus(visitor: Visitor) -> None:
    """Somebody who walks through the calls by keyboard stays where they are when another call comes."""
    page = visitor.open("calls")
    visitor.api.get("/v1/me")
    page.locator(".rowlink", has_text="/v1/me").focus()
    visitor.api.get("/v1/usage")
    expect(page.locator(".count")).to_have_text("2 of 2")
    expect(page.locator(".rowlink", has_text="/v1/me")).to_be_focused()


# ---------------------------------------------------------------- faults and scenarios


def test_three_faults_are_one_click_away(visitor: Visitor) -> None:
    """Each applies once, and the page counts it."""
    page = visitor.open("faults")
    press(visitor, "The next submission answers 503")
    expect(page.locator("tbody tr")).to_have_count(1)
    assert [visitor.api.post("/v1/render/jobs", json=movie()).status_code for _ in range(2)] == [503, 202]
    expect(page.locator("tbody tr").first).to_contain_text("1 of 1 · over")
    press(visitor, "The next job fails")
    expect(page.locator("tbody tr").first).to_contain_text('{"job":{"fail":{"scene":1}}}')
    failing = visitor.submit()
    visitor.control("POST", "/clock/advance", {"seconds": 600})
    assert visitor.api.get(f"/v1/jobs/{failing}").json()["status"] == "failed"
    press(visitor, "Drop the next stream after 3 events")
    expect(page.locator("tbody tr").first).to_contain_text('{"drop_after_events":3}')


def test_every_kind_of_fault_has_a_form_that_the_mock_takes(visitor: Visitor) -> None:
    """With the usual value of each; none is refused."""
    page = visitor.open("faults")
    kinds = visitor.control("GET", "/faults")["kinds"]
    choose = page.get_by_role("combobox", name="Kind")
    expect(choose.locator("option")).to_have_count(len(kinds))
    for each in kinds:
        choose.select_option(each["name"])
        expect(page.locator(".form .hint").last).to_have_text(each["description"])
        press(visitor, "Arm")
        expect(page.locator("tbody").first).to_contain_text(f'"{each["name"]}"')
    assert page.locator(".form .problem").inner_text() == ""
    press(visitor, "Disarm all")
    expect(page.locator(".card").first).to_contain_text("No fault is armed.")


def test_a_fault_has_units_and_conditions(visitor: Visitor) -> None:
    """What the form says is what is armed."""
    page = visitor.open("faults")
    page.get_by_role("combobox", name="Kind").select_option("stale_read")
    page.get_by_label("stale_read", exact=True).fill("2")
    page.get_by_label("stale_read, unit").select_option("m")
    page.get_by_role("combobox", name="Operation").select_option("getJob")
    page.get_by_role("spinbutton", name="Times", exact=True).fill("4")
    page.get_by_label("Share, %").fill("50")
    press(visitor, "Arm")
    expect(page.locator("tbody tr")).to_have_count(1)
    armed = visitor.control("GET", "/faults")["faults"][0]
    want = {"fault": {"stale_read": "2m"}, "match": {"operation": "getJob"}, "times": 4, "probability": "50%"}
    assert {name: armed[name] for name in want} == want


def test_a_scenario_is_edited_checked_and_applied(visitor: Visitor) -> None:
    """As it is typed, with the line; then it begins, or is saved."""
    page = visitor.open("faults")
    page.get_by_role("combobox", name="Shipped").select_option("scene-fails")
    press(visitor, "Edit a copy")
    editor = page.get_by_label("The scenario as YAML")
    expect(editor).to_have_value(re.compile("name: scene-fails"))
    editor.fill("name: mine\ndescription: Slow.\njob:\n  queued: soon\n")
    expect(page.locator("#scenario-problems")).to_contain_text("line 4")
    expect(page.get_by_role("button", name="Apply")).to_be_disabled()
    editor.fill("name: mine\ndescription: Slow.\njob:\n  queued: 90s\n")
    expect(page.locator("#scenario-problems")).to_have_text("Valid.")
    press(visitor, "Apply")
    expect(page.locator(".lead").first).to_contain_text("mine")
    with page.expect_download() as download:
        press(visitor, "Save as a file")
    assert download.value.suggested_filename == "mine.yaml"
    assert visitor.control("GET", "/scenario")["name"] == "mine"


# ---------------------------------------------------------------- webhooks


def test_a_callback_is_tried_without_a_receiver(visitor: Visitor) -> None:
    """The built-in one refuses twice, then accepts; attempts, signature and outcome show."""
    page = visitor.open("webhooks")
    inbox = page.get_by_role("region", name="Inbox")
    inbox.get_by_label("Answer with").fill("500")
    press(visitor, "Set")
    expect(inbox).to_contain_text("It answers 500")
    visitor.submit(callbackUrl="http://inbox.localhost/hook")
    visitor.control("POST", "/clock/advance", {"seconds": 40})
    page.get_by_role("table", name="Outbox").locator(".rowlink").first.click()
    expect(in_detail(visitor)).to_contain_text("not accepted")
    press(visitor, "Accept again")
    expect(inbox).to_contain_text("It answers 200")
    press(visitor, "Redeliver")
    expect(in_detail(visitor).locator(".s").first).to_have_text("delivered")
    page.get_by_role("table", name="Inbox").locator(".rowlink").first.click()
    expect(in_detail(visitor)).to_contain_text("The signature is the one of these bytes.")


def test_a_refused_target_is_explained(visitor: Visitor) -> None:
    """Why a webhook did not leave this machine."""
    visitor.submit(callbackUrl="http://203.0.113.9/hook")
    visitor.control("POST", "/clock/advance", {"seconds": 40})
    page = visitor.open("webhooks")
    page.locator(".rowlink").first.click()
    expect(in_detail(visitor).locator(".attempts")).to_contain_text("not plainly this machine")


# ---------------------------------------------------------------- account, sandboxes, verdict


def test_limits_are_exhausted_and_the_key_revoked(visitor: Visitor) -> None:
    """The gauges fill, and the API refuses."""
    page = visitor.open("account")
    gauge = page.locator(".gauge", has_text="Rate limit")
    visitor.api.get("/v1/me")
    expect(gauge).to_contain_text("1 of 120")
    page.locator(".row", has=gauge).get_by_role("button", name="Exhaust").click()
    expect(gauge).to_contain_text("120 of 120")
    assert visitor.api.get("/v1/me").status_code == 429
    press(visitor, "+30 s")
    press(visitor, "+30 s")
    expect(gauge).to_contain_text("0 of 120")
    page.get_by_label("Plan").select_option("business")
    page.get_by_label("Revoked").check()
    expect(page.locator("#toast")).to_have_text("The key is revoked.")
    assert visitor.api.get("/v1/me").json()["code"] == "API_KEY_REVOKED"
    assert visitor.control("GET", "/account")["plan"] == "business"


def test_sandboxes_are_named_saved_restored_and_opened(visitor: Visitor, tmp_path: Path) -> None:
    """Another one is opened from the list without its key."""
    other = visitor.server.new_key(clock="frozen")
    visitor.submit()
    page = visitor.open("sandboxes")
    mine, theirs = visitor.control("GET", "/account")["userId"], visitor.server.app.mock.sandbox(other).user_id
    page.get_by_label(f"Name of {mine}").fill("checkout")
    page.get_by_label(f"Name of {mine}").press("Enter")
    expect(page.locator("#toast")).to_have_text("Renamed.")
    with page.expect_download() as download:
        page.get_by_label(f"Snapshot of {mine}").click()
    download.value.save_as(tmp_path / "state.json")
    page.get_by_label(f"Reset {mine}").click()
    expect(page.locator("tr.picked td").nth(5)).to_have_text("0")
    with page.expect_file_chooser() as chooser:
        page.get_by_label(f"Restore {mine}").click()
    chooser.value.set_files(tmp_path / "state.json")
    expect(page.locator("tr.picked td").nth(5)).to_have_text("1")
    page.get_by_label(f"Open {theirs}").click()
    expect(page.locator("#who code")).to_have_text(theirs)
    assert visitor.key not in page.url


def test_the_verdict_is_red_and_leads_to_the_call(visitor: Visitor) -> None:
    """Evidence is a link."""
    for _ in range(3):
        visitor.submit()
    visitor.api.get("/v1/jobs", params={"limit": 1})
    page = visitor.open("verdict")
    expect(page.locator(".big")).to_have_text("not well behaved")
    failed = page.locator(".rules li", has=page.locator(".s.failed")).first
    expect(failed).to_contain_text("reads-every-page")
    failed.get_by_role("link").first.click()
    expect(in_detail(visitor).locator("h3")).to_have_text("GET /v1/jobs")
    page.get_by_role("link", name="Verdict and coverage").click()
    expect(page.locator(".gauge")).to_contain_text("States of the API")


def test_a_verdict_without_a_call_judges_nothing(visitor: Visitor) -> None:
    """It is neither red nor green."""
    page = visitor.open("verdict")
    expect(page.locator(".big")).to_have_text("not applicable: nothing to judge yet")
    expect(page.locator(".big.fine, .big.problem")).to_have_count(0)


# ---------------------------------------------------------------- what must not happen


def test_two_sandboxes_at_once_do_not_mix(visit: Any) -> None:
    """Each window shows its own."""
    one, other = visit(), visit()
    one.open("calls")
    other.open("calls")
    one.api.get("/v1/me")
    other.api.get("/v1/usage")
    for visitor, path in ((one, "/v1/me"), (other, "/v1/usage")):
        expect(visitor.page.locator(".rows .rowlink")).to_have_text([path])


def test_what_a_client_sends_is_text(visitor: Visitor) -> None:
    """Markup in a title, a header, a path and an address does nothing, on any screen."""
    evil = "<img src=x onerror=window.hit=1><script>window.hit=1</script>"
    job_id = visitor.submit(projectId=evil, callbackUrl=f"http://inbox.localhost/{evil.replace(' ', '%20')}")
    call = visitor.api.get(f"/v1/jobs/{job_id}", headers={"x-evil": evil, "user-agent": evil}, params={"q": evil})
    visitor.control("PATCH", "/sandbox", {"name": evil})
    visitor.control("POST", "/clock/advance", {"seconds": 100})
    for screen, name in (("jobs", job_id), ("calls", call.headers["x-mock-call-id"]), ("webhooks", "delivery_1")):
        page = visitor.open(screen, id=name)
        expect(in_detail(visitor).locator("h3").first).to_be_visible()
        for each in page.locator("summary").all():
            each.click()
        assert page.locator("main img, main script").count() == 0
    for screen in ("time", "sandboxes", "verdict", "faults", "account"):
        visitor.open(screen)
    assert visitor.page.evaluate("window.hit") is None


@pytest.mark.parametrize("screen", ["time", "jobs", "calls", "faults", "webhooks", "account", "sandboxes", "verdict"])
def test_a_phone_shows_every_screen_without_scrolling_sideways(visit: Any, screen: str) -> None:
    """390 pixels are enough."""
    visitor = visit(viewport={"width": 390, "height": 844}, is_mobile=True)
    job_id = visitor.submit(
        callbackUrl="http://inbox.localhost/a/rather/long/path/of/a/hook/that/does/not/fit/anywhere"
    )
    visitor.control("POST", "/clock/advance", {"seconds": 5})
    page = visitor.open(screen, **({"id": job_id} if screen == "jobs" else {}))
    expect(page.locator(".card").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
