"""The command line of campaigns, tables and checks: what is printed, one line per mistake, exit codes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from mutations.killing.seeds_needed import Comparisons
from orchestration.campaign.calibration import Costs
from orchestration.cli import main
from orchestration.cli.app import COMMANDS, loaded
from orchestration.execution.executors import registry as executors
from orchestration.execution.executors.inline import InlineExecutor
from orchestration.execution.tasks import TaskFunctions
from tests.fakes.fake_engine import use_fake_engine

SPEC = """
environment: CartPole-v1
algorithm: ppo
seeds: 10
steps: 100
operators: [NDF, NR]
engine: fake
"""


@dataclass(frozen=True)
class Ended:
    code: object
    out: str
    err: str


Proctor = Callable[..., Ended]


@pytest.fixture
def proctor(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Proctor:
    """Run the command line in an empty folder with the fake engine in the tables."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PROCTOR_HOME", raising=False)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    use_fake_engine(monkeypatch)
    fake = InlineExecutor(TaskFunctions(evaluate="fake_campaign:evaluate"))
    monkeypatch.setitem(executors.EXECUTORS, "inline", lambda cpus, address: fake)
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    (tmp_path / "spec.yaml").write_text(SPEC, encoding="utf-8")

    def run(*arguments: str) -> Ended:
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        captured = capsys.readouterr()
        return Ended(ended.value.code, captured.out, captured.err)

    return run


INLINE = ("--executor", "inline", "--tracking-uri", "none", "--quiet")


def test_run_show_and_plan(proctor: Proctor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    costs = Costs(train=2.0, evaluation=0.25, source="measured")
    monkeypatch.setattr("orchestration.campaign.calibration.measured", lambda campaign: costs)
    before = proctor("campaign", "plan", "spec.yaml", "--format", "json", "--cpus", "2")
    assert before.code == 0
    plan = json.loads(before.out)
    assert (plan["done"], plan["costs"], plan["cores"]) == (0, "measured", 2)
    assert plan["cpu_hours"] == pytest.approx(sum(row["cpu_seconds_left"] for row in plan["phases"]) / 3600)
    assert {"phase", "items", "upper_bound", "fewest", "done", "cpu_seconds_left"} == set(plan["phases"][0])
    assert (plan["cpu_seconds_per_training"], plan["cpu_seconds_per_evaluation"]) == (2.0, 0.25)

    ran = proctor("campaign", "run", "spec.yaml", *INLINE)
    assert (ran.code, ran.err) == (0, "")
    assert "Verdicts in the initial environment" in ran.out
    report = next(line for line in ran.out.splitlines() if line.startswith("Report: ")).removeprefix("Report: ")
    assert Path(report).exists()
    assert Path(report).is_relative_to(tmp_path / "proctor-data" / "campaigns" / plan["run_id"])
    assert "MLflow" not in ran.out

    shown = proctor("campaign", "show", "spec.yaml")
    assert shown.code == 0
    assert report in shown.out

    after = json.loads(proctor("campaign", "plan", "spec.yaml", "--format", "json").out)
    assert after["done"] == after["items"] > plan["done"]
    assert after["cpu_hours"] == 0
    table = proctor("campaign", "plan", "spec.yaml")
    assert "Predicted for what is left: 0.0 s of CPU time in total; 0.0 s of wall time on" in table.out
    assert "of CPU time, one evaluation" in table.out


def test_seeds_needed(proctor: Proctor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestration.campaign.seed_plan.Comparisons", partial(Comparisons, pairs=10))
    printed = json.loads(proctor("campaign", "seeds", "spec.yaml", "--format", "json").out)
    assert (printed["mutants"], printed["levels"], printed["looks"]) == (2, [0.025, 0.025], [6, 10, 15, 20])
    assert len({row["rewards"] for row in printed["rows"]}) == 2
    assert "The store has 0 healthy agents. Below 8, reference laws are simulated." in printed["assumptions"]

    proctor("campaign", "run", "spec.yaml", *INLINE)
    table = proctor("campaign", "seeds", "spec.yaml")
    assert table.code == 0
    assert "10 healthy agents" in table.out
    assert "every agent loses half" in table.out
    assert proctor("campaign", "seeds", "spec.yaml").out == table.out

    (tmp_path / "looks.yaml").write_text(SPEC.replace("seeds: 10", "seeds: {looks: [5, 8], healthy: 12}"))
    looks = json.loads(proctor("campaign", "seeds", "looks.yaml", "--format", "json").out)
    assert looks["looks"] == [5, 8]
    assert any("judged at 5, 8 agents, beside 12 healthy agents" in line for line in looks["assumptions"])

    wrong = proctor("campaign", "seeds", "spec.yaml", "--power", "1.5")
    assert (wrong.code, wrong.out) == (2, "")
    assert "--power" in wrong.err


def test_quiet_progress_and_lines(proctor: Proctor) -> None:
    ran = proctor("campaign", "run", "spec.yaml", "--executor", "inline", "--tracking-uri", "none")
    assert ran.code == 0
    assert "train healthy: 10/10" in ran.err


def test_a_stopped_campaign_leaves_with_3(proctor: Proctor, tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text(SPEC + "sanity: {threshold: 900}\n", encoding="utf-8")
    ran = proctor("campaign", "run", "spec.yaml", *INLINE)
    assert ran.code == 3
    assert ran.err.startswith("Healthy population too weak: mean reward 50")
    assert ran.err.count("\n") == 1
    assert "Report: " in ran.out


def test_home_from_the_environment(proctor: Proctor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROCTOR_HOME", str(tmp_path / "there"))
    assert proctor("campaign", "run", "spec.yaml", *INLINE).code == 0
    assert (tmp_path / "there" / "store").is_dir()
    assert not (tmp_path / "proctor-data").exists()


@pytest.mark.parametrize("said_before", [False, True])
def test_interrupted(proctor: Proctor, monkeypatch: pytest.MonkeyPatch, said_before: bool) -> None:
    def interrupted(*_arguments: object, interrupted: Callable[[], None]) -> None:
        if said_before:
            interrupted()
        raise KeyboardInterrupt

    monkeypatch.setattr("orchestration.campaign.run.run_campaign", interrupted)
    monkeypatch.setattr(sys, "argv", ["proctor", "campaign", "run", "spec.yaml"])
    ran = proctor("campaign", "run", "spec.yaml", *INLINE)
    assert ran.code == 130
    assert ran.err == "interrupted; finished items are kept. To continue: proctor campaign run spec.yaml\n"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("operators: [XYZ]", "error: spec.yaml: operators[0]: unknown operator 'XYZ'; expected one of "),
        (
            "operators: [RN_2]",
            "error: spec.yaml: operators[0]: 2.0 is out of range; expected a probability in (0, 1]\n",
        ),
        (
            "boundary: {limits: {pole_mass: [5, 1]}}",
            "error: spec.yaml: boundary.limits.pole_mass: limits [5, 1] are empty; expected low < high\n",
        ),
        (
            "boundary: {limits: {pole_mass: [5, 10]}}",
            "error: spec.yaml: boundary.limits.pole_mass: initial value 0.1 is outside the limits; "
            "expected a value in [5, 10]\n",
        ),
        ("epochs: 3", "error: spec.yaml: epochs: unknown field 'epochs' (did you mean 'steps'?); expected one of "),
        ("seeds: 10\n", "error: spec.yaml: line 7: key 'seeds' appears twice\n"),
    ],
)
@pytest.mark.parametrize("verb", ["run", "plan", "show"])
def test_mistakes_are_one_line_and_leave_with_2(
    proctor: Proctor, tmp_path: Path, verb: str, text: str, line: str
) -> None:
    kept = [row for row in SPEC.strip().splitlines() if not row.startswith(text.split(":")[0]) or "seeds" in text]
    (tmp_path / "spec.yaml").write_text("\n".join([*kept, text]), encoding="utf-8")
    ran = proctor("campaign", verb, "spec.yaml")
    assert ran.code == 2
    assert ran.err.startswith(line)
    assert ran.err.count("\n") == 1
    assert ran.out == ""
    assert not (tmp_path / "proctor-data").exists()


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("campaign", "run", "none.yaml"), "error: none.yaml: no such file; expected a YAML file or one of "),
        (("campaign", "show", "spec.yaml"), "error: spec.yaml: this campaign has no result yet; expected proctor "),
        (("campaign", "run", "spec.yaml", "--cpus", "0"), "error: "),
        (("campaign", "run", "spec.yaml", "--executor", "slurm"), "error: "),
        (
            ("campaign", "run", "spec.yaml", "--tracking-uri", "nonsense"),
            "error: tracking: 'nonsense' is not a tracking",
        ),
        (("campaigns",), "error: No such command 'campaigns'"),
        (("check", "no.such.module:thing"), "error: proctor check: 'no.such.module:thing': cannot import "),
        (("check", "json:JSONDecodeErrorr"), "error: proctor check: 'json:JSONDecodeErrorr': 'json' has no "),
        (("check", "math:pi"), "error: proctor check: 'math:pi' is a float; expected a scheduling-agent kind, "),
        (("check", "nonsense"), "error: proctor check: 'nonsense' is neither an import path nor a listed part; "),
    ],
)
def test_command_line_mistakes(proctor: Proctor, arguments: tuple[str, ...], line: str) -> None:
    ran = proctor(*arguments)
    assert ran.code == 2
    assert ran.err.startswith(line)
    assert ran.err.count("\n") == 1


def test_tables(proctor: Proctor) -> None:
    rows: dict[str, list[dict[str, Any]]] = {}
    for name in ("operators", "environments", "kill-tests", "presets"):
        ended = proctor(name, "--format", "json")
        assert ended.code == 0
        rows[name] = json.loads(ended.out)
        assert proctor(name).out.count("\n") > len(rows[name])
    operators = {row["operator"]: row for row in rows["operators"]}
    assert list(operators) == ["RN", "M", "Ra", "R", "NDF", "MTS", "NR", "MSU", "ILF", "PAC", "POC"]
    assert operators["NR"]["algorithms"] == ["ppo", "a2c"]
    assert [row["environment"] for row in rows["environments"]] == ["CartPole-v1", "LunarLander-v3"]
    assert [row["kill_test"] for row in rows["kill-tests"] if row["default"]] == ["margin_permutation"]
    assert len(rows["presets"]) == 6
    for row in rows["presets"]:
        assert set(row["hyperparameters"]) <= set(row["sources"])


def test_check_passes_and_fails(proctor: Proctor, tmp_path: Path) -> None:
    good = proctor("check", "mutations.killing.reward_distribution:RewardDistribution", "--format", "json")
    assert good.code == 0
    assert {row["kind"] for row in json.loads(good.out)} == {"kill test"}
    (tmp_path / "parts.py").write_text(
        "from mutations.killing.reward_distribution import RewardDistribution\n"
        "class Shy(RewardDistribution):\n"
        "    summary = ''\n",
        encoding="utf-8",
    )
    bad = proctor("check", "parts:Shy")
    assert bad.code == 1
    assert "FAILED" in bad.out
    assert bad.err == ""


def test_check_finds_out_what_a_part_is() -> None:
    from orchestration.cli.check import kind_of

    assert kind_of("mutations.operators.no_reverse:NoReverse") == "operator"
    assert kind_of("mutations.killing.paired_permutation:PairedPermutation") == "kill test"
    assert kind_of("stable_baselines3:A2C") == "algorithm"
    assert kind_of("envsearch.environments.cartpole:CARTPOLE") == "environment"
    assert kind_of("gymnasium.envs.classic_control:PendulumEnv") == "environment"
    listed = {"NDF": "operator", "paired_permutation": "kill test", "dqn": "algorithm", "Acrobot-v1": "environment"}
    assert {name: kind_of(name) for name in listed} == listed


def test_version_and_help(proctor: Proctor) -> None:
    version = proctor("--version")
    assert version.code == 0
    assert version.out.startswith("proctor ")
    listed = proctor("--help").out
    assert all(name in listed for name in COMMANDS)


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_is_there(name: str) -> None:
    assert loaded(name).name == name


def test_help_needs_no_heavy_library() -> None:
    code = (
        "import sys\nfrom orchestration.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "heavy = {'torch', 'ray', 'mlflow', 'stable_baselines3', 'pandas', 'scipy', 'numpy'} & set(sys.modules)\n"
        "sys.exit(f'imported: {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.returncode == 0


def test_module_is_the_command_line() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "orchestration", "--version"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout.split()[0]) == (0, "proctor")
