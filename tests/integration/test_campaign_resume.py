"""A real campaign whose driver is killed in mid-training, then resumed: the same tables, finished items untouched."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from orchestration.campaign.result_file import read_result, result_tables

SPEC = """
environment: CartPole-v1
algorithm: ppo
seeds: 3
steps: 1024
hyperparameters: {n_steps: 256, batch_size: 128}
operators: [NR, RN_1.0]
kill_tests: [paired_permutation, reward_distribution]
evaluation: {episodes: 2}
boundary: {precision: {cart_mass: 10, pole_mass: 10}, tests: [paired_permutation]}
higher_order: {mutants: [RN_1.0-NR]}
sanity: {threshold: off}
"""


def command(spec: Path, home: Path, *options: str) -> list[str]:
    run = [sys.executable, "-m", "orchestration", "campaign", "run", str(spec), "--home", str(home)]
    return [*run, "--tracking-uri", "none", *options]


def finished(home: Path) -> dict[Path, tuple[int, int]]:
    """Records and evaluations in the store, with the data that shows whether one was written again."""
    files = [path for name in ("record.json", "evaluation.json") for path in (home / "store").rglob(name)]
    return {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in files}


def tables(home: Path) -> str:
    (path,) = (home / "campaigns").glob("*/result.json")
    return result_tables(read_result(path))


def kill_when(process: subprocess.Popen[bytes], home: Path, records: int) -> None:
    deadline = time.monotonic() + 300
    while len(finished(home)) < records:
        assert process.poll() is None, "the campaign ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL


def attend_to_ctrl_c() -> None:
    """A child inherits that SIGINT is ignored, as it is where the tests run in the background of a script."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    path = tmp_path / "small.yaml"
    path.write_text(SPEC, encoding="utf-8")
    return path


@pytest.mark.slow
def test_kill_the_driver_and_continue(spec: Path, tmp_path: Path) -> None:
    undisturbed, killed = tmp_path / "undisturbed", tmp_path / "killed"
    subprocess.run(command(spec, undisturbed, "--executor", "inline", "--quiet"), check=True, timeout=600)

    for records in (2, 5, 20):
        before = finished(killed)
        process = subprocess.Popen(command(spec, killed, "--executor", "inline", "--quiet"))
        kill_when(process, killed, records)
        assert before.items() <= finished(killed).items()
    before = finished(killed)
    done = subprocess.run(
        command(spec, killed, "--executor", "ray", "--cpus", "2"),
        check=True,
        timeout=600,
        capture_output=True,
        text=True,
    )
    assert before.items() <= finished(killed).items()
    assert tables(killed) == tables(undisturbed)
    assert finished(killed).keys() >= {killed / path.relative_to(undisturbed) for path in finished(undisturbed)}
    assert "Report: " in done.stdout
    assert "already done" in done.stderr

    everything = finished(killed)
    subprocess.run(command(spec, killed, "--executor", "inline", "--quiet"), check=True, timeout=600)
    assert finished(killed) == everything


@pytest.mark.slow
def test_ctrl_c_prints_how_to_continue(spec: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    process = subprocess.Popen(
        command(spec, home, "--executor", "inline", "--quiet"),
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=attend_to_ctrl_c,
    )
    deadline = time.monotonic() + 300
    while not finished(home):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 130
    assert err.startswith("interrupted; finished items are kept. To continue: proctor campaign run ")
    assert str(home) in err
    assert "Traceback" not in out + err
    assert finished(home)


@pytest.mark.slow
def test_a_second_run_of_the_same_campaign_is_refused(spec: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    process = subprocess.Popen(command(spec, home, "--executor", "inline", "--quiet"))
    try:
        deadline = time.monotonic() + 300
        while not list(home.glob("campaigns/*/lock")):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.send_signal(signal.SIGSTOP)  # else it may have ended before the second one has started
        second = subprocess.run(
            command(spec, home, "--executor", "inline"), capture_output=True, text=True, timeout=300, check=False
        )
        assert second.returncode == 2
        assert f"is already running (process {process.pid})" in second.stderr
    finally:
        process.kill()
        process.wait()
