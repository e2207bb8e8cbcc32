"""JUnit XML: what it means, and that it is read safely."""

from __future__ import annotations

import io

import numpy as np
import pytest

from agents.scheduling.loaders import junit_report
from agents.scheduling.loaders.junit_report import parse_report
from agents.scheduling.loaders.junit_xml import natural
from agents.scheduling.loaders.registry import load_history
from agents.scheduling.testcase import Verdict
from envsearch.errors import InputError


def parse(text, **options):
    return parse_report(io.BytesIO(text.encode() if isinstance(text, str) else text), "r.xml", **options)


def suite(cases):
    return f'<?xml version="1.0"?><testsuites><testsuite name="s">{cases}</testsuite></testsuites>'


def test_verdicts():
    cases = parse(
        suite(
            '<testcase classname="C" name="p" time="1.5"/>'
            '<testcase classname="C" name="f" time="1,234.5"><failure message="x">deep <b/></failure></testcase>'
            '<testcase classname="C" name="e" time=""><error/></testcase>'
            '<testcase classname="C" name="s"><skipped/></testcase>'
            '<testcase name="n" status="notrun"/>'
            '<testcase name="fe"><error/><failure/></testcase>'
        )
    )
    assert [(case.name, case.verdict.value, case.duration) for case in cases] == [
        ("C::p", "passed", 1.5),
        ("C::f", "failed", 1234.5),
        ("C::e", "error", None),
        ("C::s", "skipped", None),
        ("s::n", "not_run", None),
        ("s::fe", "failed", None),
    ]


def test_errors_may_count_as_failures():
    (case,) = parse(suite('<testcase name="e"><error/></testcase>'), errors_as=Verdict.FAILED)
    assert case.verdict is Verdict.FAILED


def test_reruns():
    failed, flaky = parse(
        suite(
            '<testcase name="a"><failure/><rerunFailure/><rerunError/></testcase>'
            '<testcase name="b"><flakyFailure/><flakyError/></testcase>'
        )
    )
    assert (failed.verdict, failed.executions, failed.flaky) == (Verdict.FAILED, 3, False)
    assert (flaky.verdict, flaky.executions, flaky.flaky) == (Verdict.PASSED, 3, True)


def test_nested_suites_namespaces_and_a_single_suite():
    nested = '<j:testsuite xmlns:j="urn:x" name="o"><j:testsuite name="i"><j:testcase name="a"/></j:testsuite>'
    nested += '<j:testcase name="b"/></j:testsuite>'
    assert [case.name for case in parse(nested)] == ["i::a", "o::b"]


def test_a_failure_outside_of_a_test_case_is_ignored():
    (case,) = parse(suite('<testcase name="a"><system-out><failure/></system-out></testcase><failure/>'))
    assert case.verdict is Verdict.PASSED


BILLION = (
    '<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY lol "lol"><!ENTITY lol2 "&lol;&lol;">]>'
    "<testsuite><testcase name='&lol2;'/></testsuite>"
)
EXTERNAL = '<!DOCTYPE x SYSTEM "file:///etc/passwd"><testsuite/>'


@pytest.mark.parametrize(
    ("text", "problem", "place"),
    [
        (BILLION, "document type", "line 1, column"),
        (EXTERNAL, "document type", "line 1, column"),
        ("<testsuite><testcase name='&nbsp;'/></testsuite>", "well-formed", "line 1, column"),
        ("<testsuite>\n<testcase name='a'>", "well-formed", "line 2, column"),
        ("", "well-formed", "line 1"),
        ("no xml", "well-formed", "line 1, column 1"),
        ("<html/>", "begins with <html>", "line 1, column 1"),
        ("<testsuite>" + "<testsuite>" * 100, "too deeply", "line 1"),
        (b"<?xml version='1.0' encoding='nonsense'?><testsuite/>", "", "line 1"),
    ],
)
def test_broken_and_hostile_reports(text, problem, place):
    with pytest.raises(InputError) as caught:
        parse(text)
    assert problem in caught.value.problem and caught.value.field.startswith(place) and caught.value.source == "r.xml"


def test_bounds_on_size_and_number(monkeypatch):
    monkeypatch.setattr(junit_report, "MAX_BYTES", 1000)
    with pytest.raises(InputError, match="too large"):
        parse(suite(" " * 1000))
    monkeypatch.setattr(junit_report, "MAX_BYTES", 10**6)
    monkeypatch.setattr(junit_report, "MAX_CASES", 2)
    with pytest.raises(InputError, match="too many"):
        parse(suite('<testcase name="a"/>' * 3))


def test_a_folder_is_a_history(tmp_path):
    for number in (1, 2, 10):
        (tmp_path / f"run-{number}.xml").write_text(suite(f'<testcase name="t{number}" time="1"/><testcase name="x"/>'))
    several = tmp_path / "run-3"
    (several / "deep").mkdir(parents=True)
    (several / "a.xml").write_text(suite('<testcase name="x"><failure/></testcase>'))
    (several / "deep" / "b.xml").write_text(suite('<testcase name="x" time="2"/>'))
    (tmp_path / "notes.txt").write_text("no report")
    (tmp_path / "empty").mkdir()
    history = load_history(tmp_path)
    assert [cycle.name for cycle in history] == ["run-1", "run-2", "run-3", "run-10"]
    third = history.cycles[2]
    assert [test.id for test in third.tests] == ["s::x"] and third.verdicts == (Verdict.PASSED,)
    np.testing.assert_array_equal(third.durations, [2.0])
    assert history.notes == ("attempts joined to their tests: 1; flaky tests: 1",)


def test_a_file_is_one_cycle_and_a_missing_file_is_reported(tmp_path):
    path = tmp_path / "r.xml"
    path.write_text(suite('<testcase name="a"/>'))
    assert len(load_history(path)) == 1
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="contains no report"):
        load_history(tmp_path / "empty")
    path.write_text(BILLION)
    with pytest.raises(InputError) as caught:
        load_history(tmp_path)
    assert caught.value.source == str(path)


def test_natural_order():
    assert sorted(["b2", "b10", "a", "2", "10", "b2x"], key=natural) == ["2", "10", "a", "b2", "b2x", "b10"]
