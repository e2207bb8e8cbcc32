"""Reports as other runners write them: what can be read is kept, the rest is named."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.scheduling.loaders.junit_report import parse_report
from agents.scheduling.loaders.registry import load_history
from agents.scheduling.loaders.run_cases import run_cases
from agents.scheduling.loaders.safe_names import LONGEST_NAME
from agents.scheduling.testcase import Verdict
from envsearch.errors import InputError


def parse(text, source="r.xml", **options):
    return parse_report(io.BytesIO(text.encode() if isinstance(text, str) else text), source, **options)


def names(*reports, known=()):
    (run,) = run_cases([[parse(text, f"{number}.xml") for number, text in enumerate(reports)]], known)
    return [case.name for case in run.cases]


def suites(*inner):
    return f"<testsuites>{''.join(inner)}</testsuites>"


# -- text --

CASE = '<testcase classname="C" name="a"/>'


@pytest.mark.parametrize(
    "text",
    [
        f"<testsuite>{CASE}<system-out>\x1b[1m \x00</system-out></testsuite>",
        f"<testsuite>{CASE}<system-out>&#7; &#x1F; &#xFFFE;</system-out></testsuite>",
        f"\n\n<?xml version='1.0'?>\n<testsuite>{CASE}</testsuite>",
        f"<?xml version='1.1'?><testsuite>{CASE}</testsuite>",
        f"<!DOCTYPE testsuite><testsuite>{CASE}</testsuite>",
        f'<!DOCTYPE testsuite SYSTEM "https://example.org/a.dtd"><testsuite>{CASE}</testsuite>',
        f"<testsuite>{CASE}<system-out><![CDATA[<!DOCTYPE html [ <?xml version='1.0'?>]]></system-out></testsuite>",
        f"> npm test\n<testsuite>{CASE}</testsuite>\n",
        f"<?xml version='1.0' encoding='utf-16'?><testsuite>{CASE}</testsuite>".encode("utf-16"),
        b"<testsuite>" + CASE.encode() + b"<system-out>\xff\xfe</system-out></testsuite>",
        f"<coverage><testsuite/></coverage><testsuite>{CASE}</testsuite>",
    ],
)
def test_what_xml_forbids_is_passed_over(text):
    assert [case.name for case in parse(text)] == ["C::a"]


def test_several_documents_are_read():
    document = "<?xml version='1.0'?>\n<testsuite><testcase name='{}'/></testsuite>\n"
    assert [case.name for case in parse(document.format("a") + document.format("b"))] == ["a", "b"]


@pytest.mark.parametrize(
    "doctype", ['<!DOCTYPE a SYSTEM "file:///a">', "<!DOCTYPE a [<!ENTITY b 'c'>]>", '<!DOCTYPE a "', "<!DOCTYPE a ["]
)
def test_a_document_type_that_could_hold_entities_is_refused(doctype):
    with pytest.raises(InputError, match="document type"):
        parse(f"{doctype}<testsuite>{CASE}</testsuite>")


@given(st.text(st.characters(max_codepoint=0x300), max_size=30))
def test_any_character_may_be_in_an_output(text):
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    (case,) = parse(f"<testsuite>{CASE}<system-out>{escaped}</system-out></testsuite>")
    assert case.name == "C::a"


# -- single bad values --


def test_a_bad_value_or_case_is_named_and_the_rest_is_kept():
    report = parse(
        '<testsuite><testcase classname="C" name="a" time="soon"/><testcase name="b" time="0.5"/>'
        '<testcase time="1"/><testcase name=" "/></testsuite>'
    )
    assert [(case.name, case.duration) for case in report] == [("C::a", None), ("b", 0.5)]
    assert report.notes == (
        "r.xml: <testcase> without a name (passed over): 2",
        "r.xml: times that cannot be read (left out): 1",
    )


def test_names_are_such_as_the_service_takes():
    from orchestration.service.api.limits import TEST_ID

    assert LONGEST_NAME + 10 == TEST_ID
    long = [f"{'a' * 3000}{end}" for end in "xy"]
    cases = "".join(f'<testcase name="{name}"/>' for name in ["two&#10;lines", *long])
    read = [case.name for case in parse(f"<testsuite>{cases}</testsuite>")]
    assert read[0] == "two lines"
    assert len(set(read)) == 3 and max(map(len, read)) == LONGEST_NAME


@pytest.mark.parametrize("bad", ["", "<testsuite><testcase name='a'/><testc", "<coverage/>", "no xml"])
def test_a_bad_file_is_named_and_the_others_are_kept(bad, tmp_path):
    (tmp_path / "run-1.xml").write_text(f"<testsuite>{CASE}</testsuite>")
    (tmp_path / "run-2.xml").write_text(bad)
    (tmp_path / "run-3").mkdir()
    (tmp_path / "run-3" / "a.xml").write_text(f"<testsuite>{CASE}</testsuite>")
    (tmp_path / "run-3" / "b.xml").write_text(bad)
    history = load_history(tmp_path)
    assert [cycle.name for cycle in history] == ["run-1", "run-3"]
    assert len(history.notes) == 2
    assert all(file in "".join(history.notes) for file in ("run-2.xml", "b.xml"))


# -- outcomes --


@pytest.mark.parametrize(
    ("attributes", "inner", "verdict"),
    [
        ('status="Failed"', "", "failed"),
        ('result="FAIL"', "", "failed"),
        ('success="false"', "", "failed"),
        ('status="error"', "", "error"),
        ('status="Ignored"', "", "skipped"),
        ('outcome="Not Run"', "", "not_run"),
        ('executed="False"', "", "not_run"),
        ('status="run" result="completed"', "", "passed"),
        ('status="passed"', "<failure/>", "failed"),
        ('status="failed"', "<skipped/>", "skipped"),
        ("", "<skip/>", "skipped"),
        ("", "<ignored/>", "skipped"),
        ("", "<disabled/>", "not_run"),
        ("", "<skipped/><error/>", "error"),
    ],
)
def test_outcomes(attributes, inner, verdict):
    (case,) = parse(f'<testsuite><testcase name="a" {attributes}>{inner}</testcase></testsuite>')
    assert case.verdict == verdict


def test_errors_as_failures_of_attributes():
    (case,) = parse('<testsuite><testcase name="a" status="error"/></testsuite>', errors_as=Verdict.FAILED)
    assert case.verdict is Verdict.FAILED


# -- identity --

SAME = '<testcase classname="test" name="ok"/>'


@pytest.mark.parametrize(
    ("report", "expected"),
    [
        (
            f'<testsuite name="In"><testsuite name="new">{SAME}</testsuite></testsuite>'
            f'<testsuite name="Out"><testsuite name="new">{SAME}</testsuite></testsuite>',
            ["In > new > test::ok", "Out > new > test::ok"],
        ),
        (
            '<testsuite name="s" package="x"><testcase name="t"/></testsuite>'
            '<testsuite name="s" package="y"><testcase name="t"/></testsuite>',
            ["x > s::t", "y > s::t"],
        ),
        (
            '<testsuite name="s"><testcase name="t" file="a.py"/><testcase name="t" file="b.py"/></testsuite>',
            ["a.py > s::t", "b.py > s::t"],
        ),
        (
            f'<testsuite name="s" hostname="h1">{SAME}</testsuite><testsuite name="s" hostname="h2">{SAME}</testsuite>',
            ["h1 > test::ok", "h2 > test::ok"],
        ),
        (
            f'<testsuite name="s"><properties><property name="project" value="p"/></properties>{SAME}</testsuite>'
            f'<testsuite name="s"><properties><property name="project" value="q"/></properties>{SAME}</testsuite>',
            ["p > test::ok", "q > test::ok"],
        ),
        (f'<testsuite name="s" hostname="h1">{SAME}<testcase name="t"/></testsuite>', ["test::ok", "s::t"]),
    ],
)
def test_a_name_is_told_in_full_exactly_where_it_is_ambiguous(report, expected):
    assert names(suites(report)) == expected


def test_a_name_that_was_told_in_full_stays_so():
    first, second = (f'<testsuite name="{name}">{SAME}</testsuite>' for name in ("A", "B"))
    both = names(first, second)
    assert both == ["A > test::ok", "B > test::ok"]
    assert names(second, first) == ["B > test::ok", "A > test::ok"]
    assert names(first, known=both) == ["A > test::ok"]
    runs = run_cases([[parse(first)], [parse(first), parse(second, "s.xml")]])
    assert [[case.name for case in run.cases] for run in runs] == [["A > test::ok"], both]


@given(st.permutations(range(5)))
def test_names_do_not_depend_on_the_order_of_the_reports(order):
    reports = [f'<testsuite name="S{i}" hostname="h{i % 2}">{SAME}</testsuite>' for i in range(5)]
    assert sorted(names(*[reports[i] for i in order])) == sorted(names(*reports))


# -- attempts and doubled suites --


def test_attempts_are_one_execution():
    report = parse(
        '<testsuite><testcase classname="C" name="a"/><testcase classname="C" name="a"><failure/></testcase>'
        '<testcase classname="C" name="b (Attempt 1 of 2)"><failure/></testcase>'
        '<testcase classname="C" name="b"/></testsuite>'
    )
    (run,) = run_cases([[report]])
    assert [(case.name, case.verdict.value, case.executions, case.flaky) for case in run.cases] == [
        ("C::a", "failed", 2, False),
        ("C::b", "passed", 2, True),
    ]
    assert run.notes == ("attempts joined to their tests: 2; flaky tests: 1",)


def test_the_same_suite_twice_is_one():
    case = '<testcase classname="{}K" name="a" time="0.25"><failure/></testcase>'
    single = f'<testsuite name="org.x.K">{case.format("org.x.")}</testsuite>'
    aggregated = suites(f'<testsuite name="K" package="org.x">{case.format("org.x.")}</testsuite>')
    for reports in ((single, aggregated), (single, suites(single))):
        (run,) = run_cases([[parse(text, f"{number}.xml") for number, text in enumerate(reports)]])
        assert [(case.name, case.executions) for case in run.cases] == [("org.x.K::a", 1)]
        assert run.notes == ("1.xml: suites that another report has too (passed over): 1",)


# -- runs that broke off --


@pytest.mark.parametrize(
    ("inner", "outside", "uncollected"),
    [
        (
            '<testsuite name="pytest"><testcase classname="" name="pkg.mod"><error message="collection failure"/>'
            "</testcase></testsuite>",
            "pkg.mod: could not be collected",
            ("pkg.mod",),
        ),
        (
            '<testsuite name="s"><testcase classname="unittest.loader._FailedTest" name="m"><error/>'
            "</testcase></testsuite>",
            "m: could not be collected",
            ("m",),
        ),
        ('<testsuite name="s" errors="1"><error message="setup failed"/></testsuite>', "s: setup failed", ()),
        ('<testsuite name="s" errors="2"/>', "errors that are counted without a test: 2", ()),
    ],
)
def test_errors_outside_of_tests_are_told(inner, outside, uncollected):
    attributes = 'errors="2"' if "counted" in outside else ""
    report = parse(f"<testsuites {attributes}>{inner}</testsuites>")
    assert (report.cases, report.outside, report.uncollected) == ((), (outside,), uncollected)


def test_a_run_without_tests_is_no_cycle(tmp_path):
    (tmp_path / "1.xml").write_text(f"<testsuite>{CASE}</testsuite>")
    (tmp_path / "2.xml").write_text('<testsuite name="s"><error message="setup failed"/></testsuite>')
    history = load_history(tmp_path)
    assert [cycle.name for cycle in history] == ["1"]
    assert history.notes == ("2: s: setup failed", "2: contains no test case; passed over")
    with pytest.raises(InputError, match="setup failed"):
        load_history(tmp_path / "2.xml")


# -- order --


def test_cycles_are_in_the_order_of_their_timestamps(tmp_path):
    moments = {"a": "2026-01-03T00:00:00", "b": "2026-01-02T12:00:00Z", "c": "2026-01-02T12:30:00+02:00"}
    for name, moment in moments.items():
        (tmp_path / f"{name}.xml").write_text(f'<testsuite timestamp="{moment}">{CASE}</testsuite>')
    assert [cycle.name for cycle in load_history(tmp_path)] == ["c", "b", "a"]
    (tmp_path / "b.xml").write_text(f"<testsuite>{CASE}</testsuite>")
    history = load_history(tmp_path)
    assert [cycle.name for cycle in history] == ["a", "b", "c"]
    assert "not all reports have a timestamp" in history.notes[0]
