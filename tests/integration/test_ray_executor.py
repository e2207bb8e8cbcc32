"""Ray tasks under fire: killed workers, interruptions, a killed driver, another working directory."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agents.deeprl.recipe import PolicySite, TrainingRecipe
from envsearch.errors import InputError
from envsearch.spec import EnvironmentSpec
from orchestration.execution.executors.inline import InlineExecutor
from orchestration.execution.executors.progress_reports import start_progress_reports
from orchestration.execution.executors.ray_tasks import RayExecutor
from orchestration.execution.results import ResultStore
from orchestration.execution.tasks import TaskFunctions
from orchestration.execution.work import AgentKey, BlockReport, JobOutcome, TrainBlock, WorkBlock
from orchestration.runtime.ray import RayRuntime, _connect, end_on_sigterm

FAKES = Path(__file__).parents[1] / "fakes"
FUNCTIONS = TaskFunctions("fake_training:engine", "fake_training:evaluate")


@pytest.fixture(autouse=True)
def _fakes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(FAKES))


@pytest.fixture
def store(tmp_path: Path) -> ResultStore:
    return ResultStore(str(tmp_path / "store"))


@pytest.fixture
def pids(tmp_path: Path) -> Path:
    """Where a training leaves ``<seed>.<pid>`` when it begins."""
    folder = tmp_path / "pids"
    folder.mkdir()
    return folder


def agents(count: int, **settings: Any) -> tuple[AgentKey, ...]:
    values = tuple((name, str(value) if isinstance(value, Path) else value) for name, value in settings.items())
    recipe = TrainingRecipe(EnvironmentSpec("CartPole-v1"), "ppo", values, 100, PolicySite("Tanh", "Adam"))
    return tuple(AgentKey(recipe, seed, "fake") for seed in range(count))


def one_by_one(keys: tuple[AgentKey, ...]) -> Iterator[WorkBlock]:
    return (TrainBlock((key,)) for key in keys)


def wait_for(what: Callable[[], Any], seconds: float = 120.0) -> Any:
    """The first true answer; polls, because what is waited for happens in another process."""
    until = time.monotonic() + seconds
    while not (answer := what()):
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.02)
    return answer


def begun(pids: Path, seed: int) -> list[int]:
    return [int(path.suffix[1:]) for path in pids.glob(f"{seed}.*")]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def in_background(action: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=action)
    thread.start()
    return thread


def test_a_killed_worker_is_replaced(ray_cluster: RayRuntime, store: ResultStore, pids: Path) -> None:
    keys = agents(4, hang_seed=1, once=True, folder=pids)
    killer = in_background(lambda: os.kill(wait_for(lambda: begun(pids, 1))[0], signal.SIGKILL))
    reports = list(RayExecutor(functions=FUNCTIONS).run(one_by_one(keys), store.url))
    killer.join()
    assert [report.outcome for report in reports] == [JobOutcome.DONE] * 4
    assert len(begun(pids, 1)) == 2, "it was begun twice"
    assert all(store.has_agent(key) for key in keys)


def test_a_block_whose_worker_dies_every_time_is_a_failure(
    ray_cluster: RayRuntime, store: ResultStore, pids: Path
) -> None:
    keys = agents(3, kill_seed=1, folder=pids)
    reports = list(
        RayExecutor(functions=FUNCTIONS, max_retries=1).run([TrainBlock(keys[:2]), TrainBlock(keys[2:])], store.url)
    )
    (lost,) = [report for report in reports if report.outcome is JobOutcome.FAILED]
    assert [address for address, _ in lost.failed] == [keys[1].address()], "seed 0 was saved before"
    assert "WorkerCrashedError" in lost.traceback
    assert store.failure(keys[1].address()) == lost.traceback
    assert [store.has_agent(key) for key in keys] == [True, False, True]
    assert len(begun(pids, 1)) == 2


@pytest.fixture
def _ctrl_c_interrupts() -> Iterator[None]:
    """Python's own handler of SIGINT: it is not installed where the tests run in the background of a script."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.usefixtures("_ctrl_c_interrupts")
def test_an_interruption_cancels_what_runs(
    ray_cluster: RayRuntime, store: ResultStore, pids: Path, number: signal.Signals
) -> None:
    end_on_sigterm()
    keys = agents(6, hang_seed=1, folder=pids)
    reports: list[BlockReport] = []

    def interrupt() -> None:
        wait_for(lambda: begun(pids, 1) and len(reports) == 5)
        os.kill(os.getpid(), number)

    interrupter = in_background(interrupt)
    executor = RayExecutor(functions=FUNCTIONS)
    with pytest.raises(KeyboardInterrupt):
        for report in executor.run(one_by_one(keys), store.url):
            reports.append(report)  # noqa: PERF402 - the interrupter looks at them meanwhile
    interrupter.join()
    wait_for(lambda: not alive(begun(pids, 1)[0]))
    assert [store.has_agent(key) for key in keys] == [True, False, True, True, True, True]
    again = list(executor.run(one_by_one(agents(2)), store.url))
    assert len(again) == 2, "the cluster is still of use"


def test_the_driver_learns_the_progress_of_running_blocks(
    ray_cluster: RayRuntime, store: ResultStore, pids: Path
) -> None:
    """A block reports its steps and then waits until the driver has received a report."""
    keys = agents(2, report_seed=1, folder=pids)
    received: list[tuple[float, float]] = []

    def progress(resumed: float, running: float) -> None:
        received.append((resumed, running))
        (pids / "received").touch()

    reports = list(RayExecutor(functions=FUNCTIONS).run([TrainBlock(keys)], store.url, progress))
    assert [report.outcome for report in reports] == [JobOutcome.DONE]
    assert received[-1] == (0.0, 1.5), "one agent done, and half of the other agent's 100 steps"


def test_the_death_of_the_progress_actor_affects_no_run(
    ray_cluster: RayRuntime, store: ResultStore, pids: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import ray

    dead = start_progress_reports()
    ray.get(dead.take.remote())
    ray.kill(dead)
    monkeypatch.setattr("orchestration.execution.executors.ray_tasks.start_progress_reports", lambda: dead)
    monkeypatch.setattr("orchestration.execution.executors.progress_reports.POLL_SECONDS", 0.0)
    received: list[float] = []
    keys = agents(4, folder=pids)
    executor = RayExecutor(functions=FUNCTIONS)
    reports = list(executor.run(one_by_one(keys), store.url, lambda resumed, done: received.append(done)))
    assert [report.outcome for report in reports] == [JobOutcome.DONE] * 4
    assert received == []


def test_workers_compute_with_one_thread(ray_cluster: RayRuntime) -> None:
    import ray

    asked = ray.get(ray.remote(lambda: (os.environ["OMP_NUM_THREADS"], os.environ["OPENBLAS_NUM_THREADS"])).remote())
    assert asked == ("1", "1")


def test_a_second_executor_shares_the_cluster_and_leaves_it_running(ray_cluster: RayRuntime) -> None:
    import ray

    executor = RayExecutor(cpus=1)
    assert executor.slots == 1
    executor.close()
    assert ray.is_initialized()
    assert RayExecutor().slots == 2


DRIVER = """
import sys
from agents.deeprl.recipe import PolicySite, TrainingRecipe
from envsearch.errors import InputError
from envsearch.spec import EnvironmentSpec
from orchestration.execution.executors.ray_tasks import RayExecutor
from orchestration.execution.tasks import TaskFunctions
from orchestration.execution.work import AgentKey, TrainBlock
settings = (("hang_seed", 3), ("once", True), ("folder", sys.argv[1]))
recipe = TrainingRecipe(EnvironmentSpec("CartPole-v1"), "ppo", settings, 100, PolicySite("Tanh", "Adam"))
blocks = (TrainBlock((AgentKey(recipe, seed, "fake"),)) for seed in range(5))
functions = TaskFunctions("user_parts:engine", "user_parts:evaluate")
for report in RayExecutor(cpus=1, functions=functions).run(blocks, "store"):
    print(report.outcome, flush=True)
"""


def test_a_killed_driver_leaves_no_process_and_its_run_resumes(store: ResultStore, pids: Path, tmp_path: Path) -> None:
    """It runs from a folder of its own, which holds the user's parts and, by a relative path, the store."""
    (tmp_path / "user_parts.py").write_text((FAKES / "fake_training.py").read_text())
    environment = {name: value for name, value in os.environ.items() if name not in ("RAY_ADDRESS", "PYTHONPATH")}
    driver = subprocess.Popen([sys.executable, "-c", DRIVER, str(pids)], cwd=tmp_path, env=environment)
    try:
        (worker,) = wait_for(lambda: begun(pids, 3))
    finally:
        driver.kill()
        driver.wait()
    wait_for(lambda: not alive(worker))
    keys = agents(5, hang_seed=3, once=True, folder=pids)
    assert [store.has_agent(key) for key in keys] == [True, True, True, False, False]
    before = [Path(store.location(key), "record.json").stat().st_mtime_ns for key in keys[:3]]

    reports = list(InlineExecutor(FUNCTIONS).run(one_by_one(keys), store.url))
    assert [report.outcome for report in reports] == [JobOutcome.DONE] * 5
    assert [len(begun(pids, seed)) for seed in range(5)] == [1, 1, 1, 2, 1]
    assert [Path(store.location(key), "record.json").stat().st_mtime_ns for key in keys[:3]] == before


@pytest.mark.parametrize("address", ["127.0.0.1:1", "nowhere:x"])
def test_no_cluster_at_the_address(address: str) -> None:
    with pytest.raises(InputError, match=f"^address: no Ray cluster answers at '{address}'"):
        _connect(None, address, "address")


def test_too_few_cpus() -> None:
    program = "from orchestration.runtime.ray import start_ray\nstart_ray(cpus=0)"
    asked = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert "cpus: 0 is out of range; expected a positive whole number" in asked.stderr
