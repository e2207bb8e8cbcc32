"""`proctor record`: any command's run becomes a cycle, or nothing at all changes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from agents.scheduling.loaders.registry import load_history
from envsearch.errors import InputError
from orchestration.cli import main
from orchestration.studies.recording.recorder import append_locked, record_run

XML = (
    '<testsuites><testsuite name="s">'
    '<testcase classname="pkg.mod" name="ok" time="0.5"/>'
    '<testcase classname="pkg.mod" name="bad" time="1.25"><failure message="m">text</failure></testcase>'
    '<testcase classname="pkg.mod" name="skip" time="0"><skipped/></testcase>'
    '<testcase classname="pkg.mod" name="infra" time="0.1"><error message="no device"/></testcase>'
    "</testsuite></testsuites>"
)


def writes(text: str, place: str = "junit.xml", code: int = 0) -> list[str]:
    """A command that writes a report and leaves with a code."""
    script = f"import pathlib, sys; pathlib.Path({place!r}).write_text({text!r}); sys.exit({code})"
    return [sys.executable, "-c", script]


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str) -> Any:
    with pytest.raises(SystemExit) as left:
        main(["record", *arguments])
    return left.value.code


def test_a_run_becomes_a_cycle(tmp_path, capsys):
    history = tmp_path / "history.parquet"
    before = time.time()
    assert run(str(history), "--job", "unit", "--", *writes(XML, code=1)) == 1
    assert run(str(history), "--job", "unit", "--", *writes(XML)) == 0
    assert "cycle 2, 4 tests, 1 failed" in capsys.readouterr().err
    table = pd.read_parquet(history)
    assert table["cycle"].tolist() == [1] * 4 + [2] * 4
    assert table["verdict"].tolist()[:4] == ["passed", "failed", "skipped", "error"]
    assert table["test"].tolist()[0] == "pkg.mod::ok"
    assert set(table["job"]) == {"unit"}
    assert table["duration"].tolist()[:2] == [0.5, 1.25]
    assert before <= table["finished_at"].min() <= time.time()
    assert load_history(history).failing_cycles == 2


def test_errors_can_be_failures(tmp_path):
    history = tmp_path / "history.parquet"
    assert run(str(history), "--errors-as-failures", "--", *writes(XML)) == 0
    assert pd.read_parquet(history)["verdict"].tolist().count("failed") == 2


def test_a_report_of_its_own(tmp_path):
    """{junit} in the command: other reports do not matter, and nothing is left behind."""
    (tmp_path / "junit.xml").write_text("not XML", encoding="utf-8")
    script = f"import pathlib, sys; pathlib.Path(sys.argv[1][8:]).write_text({XML!r})"
    assert run("history.parquet", "--", sys.executable, "-c", script, "--junit={junit}") == 0
    assert sorted(path.name for path in tmp_path.iterdir() if not path.name.startswith(".")) == [
        "history.parquet",
        "junit.xml",
    ]


def test_only_what_the_command_wrote_counts(tmp_path):
    (tmp_path / "target").mkdir()
    (tmp_path / "target" / "TEST-old.xml").write_text("<broken", encoding="utf-8")
    assert run("h.parquet", "--", *writes(XML, "target/TEST-new.xml")) == 0
    assert len(pd.read_parquet("h.parquet")) == 4


def test_several_reports_are_one_cycle(tmp_path):
    both = f"import pathlib\nfor n in 'ab': pathlib.Path(f'out-{{n}}.xml').write_text({XML!r}.replace('pkg', n))"
    assert run("h.parquet", "--junit", "out-*.xml", "--", sys.executable, "-c", both) == 0
    table = pd.read_parquet("h.parquet")
    assert table["cycle"].tolist() == [1] * 8
    assert table["test"].nunique() == 8


BROKEN = {
    "no report": [sys.executable, "-c", "pass"],
    "cut short": writes(XML[:-30]),
    "entities": writes('<!DOCTYPE x [<!ENTITY a "b">]><testsuite><testcase name="&a;"/></testsuite>'),
    "other XML": writes("<html/>"),
    "no test": writes("<testsuite/>"),
}


@pytest.mark.parametrize("command", BROKEN.values(), ids=BROKEN.keys())
def test_nothing_changes_if_the_report_is_missing_or_broken(command, tmp_path, capsys):
    history = tmp_path / "history.parquet"
    assert run(str(history), "--", *writes(XML)) == 0
    (tmp_path / "junit.xml").unlink()
    before = history.read_bytes()
    capsys.readouterr()
    assert run(str(history), "--", *command) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert history.read_bytes() == before


def test_the_command_s_own_exit_code_wins(capsys):
    assert run("h.parquet", "--", sys.executable, "-c", "raise SystemExit(7)") == 7
    assert "wrote no report" in capsys.readouterr().err
    assert not Path("h.parquet").exists()
    assert run("h.parquet", "--", sys.executable, "-c", "import os; os.kill(os.getpid(), 9)") == 137


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("h.parquet", "--", "no-such-program-here"), "cannot be run"),
        (("missing/h.parquet", "--", "true"), "folder does not exist"),
        (("notes.txt", "--", "touch", "ran"), "is not a Parquet file"),
        (("new.csv", "--", "touch", "ran"), "is not the name of a Parquet file"),
        (("other.parquet", "--", "touch", "ran"), "is not a recorded history (no column cycle"),
        (("h.parquet", "--junit", "", "--", "touch", "ran"), "--junit"),
    ],
)
def test_mistakes_are_told_before_anything_runs(arguments, message, capsys):
    Path("notes.txt").write_text("hello", encoding="utf-8")
    pd.DataFrame({"a": [1]}).to_parquet("other.parquet")
    assert run(*arguments) == 2
    assert message in capsys.readouterr().err
    assert not Path("ran").exists()
    assert Path("notes.txt").read_text(encoding="utf-8") == "hello"


def test_parallel_runs_lose_no_cycle(tmp_path):
    history = tmp_path / "h.parquet"
    source = tmp_path / "report.xml"
    source.write_text(XML, encoding="utf-8")
    cycle = load_history(source).cycles[0]
    with ThreadPoolExecutor(8) as pool:
        numbers = list(pool.map(lambda _: append_locked(history, cycle), range(16)))
    assert sorted(numbers) == list(range(1, 17))
    assert len(load_history(history)) == 16


def test_an_interrupted_run_is_not_recorded(tmp_path):
    """SIGTERM reaches the command, its end is waited for, and nothing is appended."""
    script = textwrap.dedent(f"""
        import pathlib, signal, sys, time
        def stop(*_):
            pathlib.Path("junit.xml").write_text({XML!r})
            sys.exit(0)
        signal.signal(signal.SIGTERM, stop)
        pathlib.Path("started").touch()
        time.sleep(60)
    """)
    command = [sys.executable, "-m", "orchestration", "record", "h.parquet", "--", sys.executable, "-c", script]
    root = Path(__file__).parents[3]
    process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(root)})
    try:
        for _ in range(600):
            if (tmp_path / "started").exists():
                break
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 130
    finally:
        process.kill()
    assert (tmp_path / "junit.xml").exists()
    assert not (tmp_path / "h.parquet").exists()


def test_as_a_library(tmp_path):
    done = record_run(tmp_path / "h.parquet", writes(XML, code=3), job="nightly")
    assert (done.exit_code, done.cycle, done.tests, done.failed, done.problem) == (3, 1, 4, 1, "")
    with pytest.raises(InputError, match="cannot be run"):
        record_run(tmp_path / "h.parquet", ["no-such-program-here"])


# -- the reports of other people --

UNCOLLECTED = (
    '<testsuites><testsuite name="pytest" errors="1"><testcase classname="" name="pkg.mod">'
    '<error message="collection failure">ImportError</error></testcase></testsuite></testsuites>'
)


def test_the_summary_names_errors_exit_code_and_reports(capsys):
    assert run("h.parquet", "--", *writes(XML, code=3)) == 3
    expected = "h.parquet: cycle 1, 4 tests, 1 failed, 1 error, 1 skipped; exit code 3; read junit.xml\n"
    assert capsys.readouterr().err == expected
    green = '<testsuite><testcase name="a"/></testsuite>'
    assert run("h.parquet", "--", *writes(green, code=1)) == 1
    assert "exit code 1 although no test failed: the run may have broken off" in capsys.readouterr().err


def test_known_tests_of_a_module_that_was_not_collected_are_errors(capsys):
    assert run("h.parquet", "--", *writes(UNCOLLECTED, code=2)) == 2
    assert "pkg.mod: could not be collected); nothing was recorded" in capsys.readouterr().err
    assert not Path("h.parquet").exists()
    run("h.parquet", "--", *writes(XML))
    assert run("h.parquet", "--", *writes(UNCOLLECTED, code=2)) == 2
    assert "4 tests, 0 failed, 4 errors" in capsys.readouterr().err
    run("h.parquet", "--errors-as-failures", "--", *writes(UNCOLLECTED, code=2))
    run("h.parquet", "--job", "other", "--", *writes(UNCOLLECTED, code=2))
    table = pd.read_parquet("h.parquet")
    assert [set(table[table["cycle"] == cycle]["verdict"]) for cycle in (2, 3)] == [{"error"}, {"failed"}]
    assert table["cycle"].max() == 3


@pytest.mark.parametrize(
    "arguments", [["--junitxml=report.xml"], ["--log-junit", "out/r.xml"], ["--gtest_output=xml:./r.xml"]]
)
def test_a_report_that_the_command_names_is_read_and_others_are_not(arguments, capsys):
    Path("out").mkdir()
    report = arguments[-1].replace(":", "=").rpartition("=")[2]
    both = f"import pathlib\nfor f in ({report!r}, 'fixture-junit.xml'): pathlib.Path(f).write_text({XML!r})"
    Path("runner.py").write_text(both, encoding="utf-8")
    assert run("h.parquet", "--", sys.executable, "runner.py", *arguments) == 0
    assert capsys.readouterr().err.endswith(f"read {Path(report)}\n")


def test_a_named_file_that_is_no_report_does_not_hide_the_reports(capsys):
    script = f"import pathlib; pathlib.Path('coverage.xml').write_text('<coverage/>'); {writes(XML)[2]}"
    assert run("h.parquet", "--", sys.executable, "-c", script, "--cov-report=xml:coverage.xml") == 0
    assert "read junit.xml" in capsys.readouterr().err


def test_a_report_that_cannot_be_read_is_named_and_the_others_are_recorded(capsys):
    script = f"import pathlib; pathlib.Path('a-junit.xml').write_text('<testsuite>'); {writes(XML)[2]}"
    assert run("h.parquet", "--", sys.executable, "-c", script) == 0
    error = capsys.readouterr().err
    assert "a-junit.xml" in error.splitlines()[0] and error.startswith("note: ")
    assert len(pd.read_parquet("h.parquet")) == 4


def test_shards_of_one_build_are_one_cycle():
    for build, shard in (("7", "a"), ("7", "b"), ("8", "a")):
        run("h.parquet", "--build", build, "--", *writes(XML.replace("pkg", shard)))
    run("h.parquet", "--", *writes(XML))
    assert pd.read_parquet("h.parquet")["cycle"].tolist() == [1] * 8 + [2] * 4 + [3] * 4
    assert [len(cycle) for cycle in load_history(Path("h.parquet"))] == [8, 4, 4]
