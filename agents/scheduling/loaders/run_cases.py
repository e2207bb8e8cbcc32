"""From the reports of one run to its executions: doubled suites, the names of tests, attempts.

A test is called ``classname::name``. Where a run has several tests of that name, other facts from the reports come in
front: the suites around it, the package, the file, or the host or project; the first of these that tells them apart.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from agents.scheduling.loaders.reported import Place, Report, ReportedCase
from agents.scheduling.loaders.safe_names import safe_name
from agents.scheduling.testcase import Verdict

SEPARATOR = " > "

Details = Callable[[Place], tuple[str, ...]]
_DETAILS: tuple[Details, ...] = (
    lambda place: place.suites,
    lambda place: (place.package,),
    lambda place: (place.file,),
    lambda place: (place.host,),
    lambda place: (place.package, *place.suites),
    lambda place: (place.file, *place.suites),
    lambda place: (place.file, place.package, *place.suites),
    lambda place: (place.host, place.file, place.package, *place.suites),
)
"""What may tell tests of one name apart; the first that does is used."""


@dataclass(frozen=True, slots=True)
class RunCases:
    """The executions of one run, one per test.

    Attributes:
        notes: what was joined or passed over, one line each.
    """

    cases: tuple[ReportedCase, ...]
    notes: tuple[str, ...] = ()


def run_cases(runs: Sequence[Sequence[Report]], known: Collection[str] = ()) -> list[RunCases]:
    """The executions of some runs. A name that is ambiguous in one of them is used in full in all of them.

    Args:
        known: names of an earlier history: a test with a full name there keeps it.
    """
    kept = [_without_doubles(run) for run in runs]
    details = _ambiguous([cases for cases, _ in kept])
    details |= _known_in_full([case for cases, _ in kept for case in cases if case.name not in details], known)
    return [_joined(cases, details, notes) for cases, notes in kept]


def _without_doubles(run: Sequence[Report]) -> tuple[list[ReportedCase], list[str]]:
    """The cases without those suites that another report of the run has written too, result by result."""
    seen: set[object] = set()
    cases: list[ReportedCase] = []
    notes = [note for report in run for note in report.notes]
    for report in run:
        contents: dict[int, list[ReportedCase]] = {}
        for case in report.cases:
            contents.setdefault(case.suite, []).append(case)
        marks = {number: _mark(suite) for number, suite in contents.items()}
        cases += [case for case in report.cases if marks[case.suite] not in seen]
        if doubled := sum(mark in seen for mark in marks.values()):
            notes.append(f"{report.source}: suites that another report has too (passed over): {doubled}")
        seen.update(marks.values())
    return cases, notes


def _mark(suite: Sequence[ReportedCase]) -> object:
    """What a suite and its copy in an aggregated report have in common."""
    around = suite[0].place
    own = around.suites[-1] if around.suites else ""
    full = own if not around.package or own.startswith(around.package) else f"{around.package}.{own}"
    package = f"{full.rpartition('.')[0]}."  # some aggregations leave it out of the class
    return full, around.host, tuple((case.name.removeprefix(package), case.verdict, case.duration) for case in suite)


def _ambiguous(runs: Iterable[Sequence[ReportedCase]]) -> dict[str, Details]:
    """Names that several tests of a run have -> what tells them apart."""
    places: dict[str, list[set[Place]]] = {}
    for cases in runs:
        groups: dict[str, set[Place]] = {}
        for case in cases:
            groups.setdefault(case.name, set()).add(case.place)
        for name, several in groups.items():
            if len(several) > 1:
                places.setdefault(name, []).append(several)
    return {name: _first_telling(groups) for name, groups in places.items()}


def _first_telling(groups: Sequence[Collection[Place]]) -> Details:
    for details in _DETAILS:
        if all(len(set(map(details, group))) == len(group) for group in groups):
            return details
    return _DETAILS[-1]


def _known_in_full(cases: Iterable[ReportedCase], known: Collection[str]) -> dict[str, Details]:
    return {
        case.name: details
        for case in cases
        if known
        for details in reversed(_DETAILS)
        if (full := _full_name(case, details)) != case.name and full in known
    }


def _full_name(case: ReportedCase, details: Details | None) -> str:
    if details is None:
        return case.name
    parts = [part for part in details(case.place) if part]
    if parts and case.name.startswith(f"{parts[-1]}::"):
        parts.pop()
    return safe_name(SEPARATOR.join([*parts, case.name]))


def _joined(cases: Sequence[ReportedCase], details: Mapping[str, Details], notes: list[str]) -> RunCases:
    """One execution per test: the last verdict, and how many attempts there were."""
    tests: dict[str, ReportedCase] = {}
    for case in cases:
        name = _full_name(case, details.get(case.name))
        before = tests.get(name)
        tests[name] = replace(case, name=name) if before is None else _attempt(before, case)
    if len(tests) < len(cases):
        flaky = sum(case.flaky for case in tests.values())
        notes.append(f"attempts joined to their tests: {len(cases) - len(tests)}; flaky tests: {flaky}")
    return RunCases(tuple(tests.values()), tuple(notes))


def _attempt(before: ReportedCase, last: ReportedCase) -> ReportedCase:
    wrong = before.flaky or before.verdict in (Verdict.FAILED, Verdict.ERROR)
    return replace(
        last,
        name=before.name,
        executions=before.executions + last.executions,
        flaky=last.flaky or (wrong and last.verdict is Verdict.PASSED),
    )
