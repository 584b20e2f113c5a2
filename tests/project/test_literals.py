"""The names in public signatures are those of the spec and of the registries, and type checkers know them.

`VIRALSYNC_WRITE_PINS=1` in the environment of this test writes `client/literals.py` anew.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import textwrap
from typing import TYPE_CHECKING

import pytest
from tests.project.test_downstream import KEPT, Project, project
from tests.project.test_wheel import wheel
from tests.support.paths import ROOT

from viralsync_mock.client.sandbox import LIMITS
from viralsync_mock.clock import Mode
from viralsync_mock.jobs.models import Status
from viralsync_mock.openapi.spec import load_spec
from viralsync_mock.scenarios.fault_syntax import KINDS
from viralsync_mock.settings import Settings
from viralsync_mock.verdict.evidence import Outcome
from viralsync_mock.verdict.rules import RULES
from viralsync_mock.webhooks.delivery import DeliveryOutcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["project", "wheel"]  # fixtures: a project in which the kit's wheel is installed

GENERATED = ROOT / "mockserver/viralsync_mock/client/literals.py"

HEAD = '''"""Names for type checkers: a wrong one is an error where it is written.

Generated from the spec, the faults and the rules by `tests/project/test_literals.py`.
"""

# fmt: off
from typing import Any, Literal, TypeAlias, TypedDict
'''


def literals() -> dict[str, Iterable[str]]:
    spec = load_spec(Settings().spec)
    return {
        "Operation": spec.operations,
        "ErrorCode": spec.errors,
        "Plan": spec.plans,
        "Limit": LIMITS,
        "Clock": Mode,
        "JobStatus": Status,
        "WebhookKind": ("progress", *(status for status in Status if status.is_terminal)),
        "DeliveryOutcome": DeliveryOutcome,
        "FaultName": KINDS,
        "Rule": RULES,
        "Outcome": Outcome,
    }


def generated() -> Iterator[str]:
    yield HEAD
    for name, values in literals().items():
        words = textwrap.wrap(", ".join(f'"{value}"' for value in values), 116, break_on_hyphens=False)
        yield f"{name}: TypeAlias = Literal[\n" + textwrap.indent("\n".join(words), "    ") + ",\n]\n"
    yield from _fields("Faults", "A fault by its name, with its value.", KINDS, "Any")
    reason = "Rules that may fail, each with the reason why."
    yield from _fields("Waivers", reason, (name.replace("-", "_") for name in RULES), "str")


def _fields(name: str, text: str, keys: Iterable[str], kind: str) -> Iterator[str]:
    lines = "".join(f"    {key}: {kind}\n" for key in keys)
    yield f'\nclass {name}(TypedDict, total=False):\n    """{text}"""\n\n{lines}'


def test_the_literals_are_those_of_the_spec() -> None:
    """A new operation, plan, error code, fault or rule is known to type checkers."""
    text = "\n".join(generated())
    if "VIRALSYNC_WRITE_PINS" in os.environ:
        GENERATED.write_text(text)
    assert GENERATED.read_text() == text


USE = """# pyright: strict
from viralsync_mock import Sandbox, open_sandbox
from viralsync_mock.client import Plan, SandboxFactory

PLAN: Plan = "{Plan}"


def test_names(viralsync: Sandbox, make_viralsync: SandboxFactory) -> None:
    viralsync.assert_called("{Operation}", status=202)
    viralsync.assert_only_called("{Operation}", "getMe")
    viralsync.journal.calls("{Operation}")
    viralsync.journal.calls(code="{ErrorCode}")
    viralsync.account(plan="{Plan}", minutes_used=3)
    viralsync.exhaust("{Limit}")
    viralsync.open(clock="{Clock}")
    viralsync.open(plan="{Plan}")
    viralsync.clock.run_until("job_0123456789ab", "{JobStatus}")
    viralsync.assert_webhook_delivered("{WebhookKind}")
    viralsync.faults.arm("{FaultName}", match="getJob")
    viralsync.faults.arm({FaultName}=True, times=1)
    viralsync.faults.arm({{"{FaultName}": True}}, match={{"operation": "getJob", "nth": 2}})
    viralsync.assert_rule("{Rule}")
    viralsync.verdict({{"{Rule}": "a demo"}})
    viralsync.assert_well_behaved({waived}="a demo")
    print(viralsync.verdict()["{Rule}"].outcome == "passed")
    print(viralsync.verdict().rules[0].outcome == "{Outcome}")
    print(viralsync.jobs.newest.status == "{JobStatus}")
    print(viralsync.deliveries[0].outcome == "{DeliveryOutcome}")
    make_viralsync(plan="{Plan}", strict=True)
    make_viralsync("second", clock="{Clock}")


def test_without_fixtures() -> None:
    with open_sandbox(plan="{Plan}") as sandbox:
        sandbox.clock.jump()
    with open_sandbox(clock="{Clock}"):
        pass
"""
"""Code of a user; each line with a place to fill in is one use of a name."""


def _checked(project: Project, code: str) -> dict[str, set[int]]:
    """Return the lines in which each type checker finds an error."""
    (project.folder / "use.py").write_text(code)
    mypy = project.run("-m", "mypy", "--strict", "--cache-dir", os.devnull, "use.py").stdout
    command = ["npx", "--no-install", "pyright", "--outputjson", "--pythonpath", str(project.python)]
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    done = subprocess.run(
        [*command, str(project.folder / "use.py")], cwd=ROOT, env=kept, capture_output=True, text=True, timeout=120
    )
    found = json.loads(done.stdout)["generalDiagnostics"]
    return {
        "mypy": {int(line) for line in re.findall(r"^use\.py:(\d+): error", mypy, re.MULTILINE)},
        "pyright": {each["range"]["start"]["line"] + 1 for each in found if each["severity"] == "error"},
    }


@pytest.mark.slow
@pytest.mark.needs_node
def test_type_checkers_know_the_names_in_the_project_of_a_user(project: Project) -> None:
    """Both mypy and pyright accept every right name, and report every wrong one where it is written."""
    right = {name: next(iter(values)) for name, values in literals().items()}
    wrong = {name: f"{value}_x" for name, value in right.items()}
    used = {number for number, line in enumerate(USE.splitlines(), 1) if re.search(r"\{\w+\}", line)}
    code = USE.format(**right, waived=right["Rule"].replace("-", "_"))
    assert _checked(project, code) == {"mypy": set(), "pyright": set()}
    code = USE.format(**wrong, waived="no_such_rule")
    found = _checked(project, code)
    assert found["mypy"] == used
    assert found["pyright"] == used
