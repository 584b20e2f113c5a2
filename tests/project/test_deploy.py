"""What runs the mock for a team: the image, Kubernetes, the action and the recipes for CI."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import yaml
from tests.support.paths import ROOT

from viralsync_mock.cli import main
from viralsync_mock.control.app import read_control_spec

ACTION = yaml.safe_load((ROOT / "action.yml").read_text())
CONTAINERFILE = (ROOT / "Containerfile").read_text()
KUBERNETES = {each["kind"]: each for each in yaml.safe_load_all((ROOT / "deploy/kubernetes.yaml").read_text())}
COMPOSE = (ROOT / "compose.yaml").read_text()
RECIPES = re.findall(r"<!-- check: ([\w.-]+) -->\n```yaml\n(.*?)```", (ROOT / "docs/ci.md").read_text(), re.DOTALL)
VARIABLES = {str(option.envvar) for command in main.commands.values() for option in command.params}
PATIENCE = 60


def run(*command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, **variables}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=PATIENCE)


# --- the image and Kubernetes ----------------------------------------------------------------------------------------


def test_the_image_has_no_rights_and_watches_itself() -> None:
    """A user of a number, so that an orchestrator can see that it is not root; and no curl."""
    assert re.findall(r"^USER (\d+):\1$", CONTAINERFILE, re.MULTILINE) == ["65532"]
    assert 'CMD ["viralsync-mock", "health"]' in CONTAINERFILE
    assert {"health", "serve"} <= main.commands.keys()


def test_everything_that_the_image_is_built_from_reaches_the_build() -> None:
    """The list of what is left out has an exception for each file that is copied."""
    copied = " ".join(re.findall(r"^COPY (?!--)(.*) \S+$", CONTAINERFILE, re.MULTILINE)).split()
    allowed = [line[1:] for line in (ROOT / ".containerignore").read_text().splitlines() if line.startswith("!")]
    assert sorted(copied) == sorted(allowed)
    assert [name for name in copied if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("text", [CONTAINERFILE, COMPOSE, json.dumps(KUBERNETES), *(text for _, text in RECIPES)])
def test_every_variable_is_one_that_serve_reads(text: str) -> None:
    """A typing error would be ignored."""
    assert set(re.findall(r"VIRALSYNC_MOCK_[A-Z_]+", text)) <= VARIABLES


def test_kubernetes_runs_it_as_the_image_is_made() -> None:
    """The same user, the same port, a read-only root, probes that need no token, and no restart for a full disk."""
    pod = KUBERNETES["Deployment"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    probes = [container[f"{name}Probe"]["httpGet"] for name in ("startup", "readiness")]
    assert (pod["securityContext"]["runAsUser"], container["ports"][0]["containerPort"]) == (65532, 4747)
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert {each["path"] for each in probes} == {"/__mock/health"}
    assert container["livenessProbe"]["tcpSocket"] == {"port": "http"}


def test_prometheus_finds_the_metrics_of_a_pod_open() -> None:
    """The annotations name the path that there is, and it asks for no token."""
    template = KUBERNETES["Deployment"]["spec"]["template"]
    environment = {each["name"]: each.get("value") for each in template["spec"]["containers"][0]["env"]}
    assert template["metadata"]["annotations"]["prometheus.io/path"] in read_control_spec().paths
    assert environment["VIRALSYNC_MOCK_OPEN_METRICS"] == "1"


def test_the_replicas_of_compose_are_those_that_nginx_knows() -> None:
    """By address and port, which the image's other variables leave alone; and each tells nginx its own."""
    services = yaml.safe_load(COMPOSE)["services"]
    replicas = [each["environment"] for name, each in services.items() if name.startswith("mock-")]
    nginx = (ROOT / "deploy/nginx.conf").read_text()
    addresses = [each["VIRALSYNC_MOCK_REPLICA_ADDRESS"] for each in replicas]
    assert addresses == re.findall(r"^ +server ([\d.:]+) ", nginx, re.MULTILINE)
    assert addresses == [f"127.0.0.1:{each['VIRALSYNC_MOCK_PORT']}" for each in replicas]
    (port,) = re.findall(r"listen (\d+);", nginx)
    assert services["nginx"]["ports"] == [f"4747:{port}"]


def test_the_devcontainer_makes_what_there_is_to_make() -> None:
    """Its commands are targets of the Makefile, and its port is the mock's."""
    container = json.loads((ROOT / ".devcontainer/devcontainer.json").read_text())
    for name in ("postCreateCommand", "postAttachCommand"):
        assert run("make", "--dry-run", *container[name].split()[1:]).returncode == 0
    assert container["forwardPorts"] == [4747]


# --- recipes ---------------------------------------------------------------------------------------------------------


def test_every_block_of_the_page_is_checked() -> None:
    """None is only looked at."""
    assert len(RECIPES) == (ROOT / "docs/ci.md").read_text().count("```yaml")


@pytest.mark.parametrize(("schema", "text"), [each for each in RECIPES if "." in each[0]])
def test_a_recipe_is_what_its_program_takes(schema: str, text: str, tmp_path: Path) -> None:
    """By the schema that the program publishes."""
    file = tmp_path / "recipe.yml"
    file.write_text(text)
    done = run("check-jsonschema", "--builtin-schema", schema, str(file))
    assert done.returncode == 0, done.stdout


def test_the_recipe_of_the_hook_names_one_that_there_is() -> None:
    """With pre-commit's own names."""
    (text,) = (text for schema, text in RECIPES if schema == "pre-commit")
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    assert yaml.safe_load(text)["repos"][0]["hooks"] == [{"id": hook["id"]}]


@pytest.mark.slow
def test_the_hook_checks_scenarios_before_a_commit(tmp_path: Path) -> None:
    """With the real pre-commit on a repository of its own: it finds the file, and says what is wrong with it."""
    (tmp_path / "scenarios").mkdir()
    (tmp_path / "scenarios/good.yaml").write_text("job: {queued: 1s}\n")
    (tmp_path / "other.yaml").write_text("not: a scenario\n")
    git = ["git", "-C", str(tmp_path)]
    for command in (["init", "-q"], ["add", "."]):
        subprocess.run([*git, *command], check=True)
    hook = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())[0]
    local = {"repos": [{"repo": "local", "hooks": [{**hook, "language": "system"}]}]}  # installed already
    (tmp_path / ".pre-commit-config.yaml").write_text(yaml.safe_dump(local))
    command = [sys.executable, "-m", "pre_commit", "run", "--all-files", "--color=never"]
    path = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    good = subprocess.run(command, cwd=tmp_path, env=path, capture_output=True, text=True)
    (tmp_path / "scenarios/bad.yml").write_text("jobs: {}\n")
    subprocess.run([*git, "add", "."], check=True)
    bad = subprocess.run(command, cwd=tmp_path, env=path, capture_output=True, text=True)
    assert (good.returncode, bad.returncode) == (0, 1), good.stdout + bad.stdout
    assert "scenarios/bad.yml" in bad.stdout


# --- the action ------------------------------------------------------------------------------------------------------


@pytest.fixture
def runner(tmp_path: Path) -> Iterator[Path]:
    """Yield the folder of a runner, with the mock installed as the first step does; what is started is stopped."""
    folder = tmp_path / "viralsync-mock"
    (folder / "bin").mkdir(parents=True)
    for name in ("viralsync-mock", "python"):
        (folder / "bin" / name).symlink_to(Path(sys.executable).parent / name)
    yield folder
    if (folder / "pid").exists():
        subprocess.run(["kill", (folder / "pid").read_text().strip()])


def step(name: str, folder: Path, **inputs: str) -> tuple[int, str, list[dict[str, str]]]:
    """Run a step as a runner does; return exit code, output, and what it wrote as outputs and as variables."""
    (found,) = (each for each in ACTION["runs"]["steps"] if each["name"] == name)
    given = {key: each["default"] for key, each in ACTION["inputs"].items()} | inputs
    known = {f"inputs.{key}": value for key, value in given.items()}
    known |= {"runner.temp": str(folder.parent), "github.action_path": str(ROOT)}
    variables = {key: re.sub(r"\$\{\{ (\S+) \}\}", lambda m: known[m[1]], text) for key, text in found["env"].items()}
    files = {name: folder.parent / name for name in ("GITHUB_OUTPUT", "GITHUB_ENV", "GITHUB_PATH")}
    done = run(
        *("bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", found["run"]),
        **{**variables, **{name: str(file) for name, file in files.items()}},
    )
    written = [
        dict(line.split("=", 1) for line in file.read_text().splitlines()) if file.exists() else {}
        for file in (files["GITHUB_OUTPUT"], files["GITHUB_ENV"])
    ]
    return done.returncode, done.stdout + done.stderr, written


def test_the_action_starts_a_mock_and_exports_where_it_is(runner: Path) -> None:
    """The key works, the options were taken, and the log is where the output says."""
    code, output, (outputs, variables) = step("Start", runner, port="0", arguments="--auto\n--seed 7")
    assert code == 0, output
    assert (variables["VIRALSYNC_BASE_URL"], variables["VIRALSYNC_API_KEY"]) == (
        outputs["base-url"],
        outputs["api-key"],
    )
    answer = httpx.get(f"{outputs['base-url']}/v1/nowhere", headers={"x-api-key": outputs["api-key"]})
    assert (answer.status_code, answer.headers["x-mock-seed"]) == (404, "7")
    assert set(ACTION["outputs"]) == set(outputs)


def test_the_action_fails_with_the_reason(runner: Path) -> None:
    """An unknown scenario ends the step, with what the mock said."""
    code, output, (outputs, _) = step("Start", runner, port="0", scenario="hapy")
    assert (code, outputs) == (1, {})
    assert re.search(r"::error title=The mock did not start::.*did you mean.*happy", output, re.IGNORECASE)


@pytest.mark.slow
def test_the_action_installs_its_own_source(tmp_path: Path) -> None:
    """Into a folder of its own; later steps find its commands."""
    folder = tmp_path / "viralsync-mock"
    code, output, _ = step("Install", folder)
    assert code == 0, output
    assert (tmp_path / "GITHUB_PATH").read_text() == f"{folder / 'bin'}\n"
    assert run(str(folder / "bin/viralsync-mock"), "--version").stdout.startswith("viralsync-mock, version")


def test_what_the_page_says_of_the_action_is_so() -> None:
    """Its inputs with their defaults."""
    page = (ROOT / "docs/ci.md").read_text()
    for name, each in ACTION["inputs"].items():
        default = f"`{each['default']}`" if each["default"] else "the action's own source" if name == "version" else ""
        assert f"| `{name}` | {default} |".replace("  ", " ") in page
