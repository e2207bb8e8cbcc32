"""Error control over everything that a campaign reports.

Higher-order mutants are chosen from the first-order kill matrix, which is corrected alone for this choice. When all is
judged, every comparison of the report (all corrected tests, mutants of any order, environments) is corrected once,
together, and all that is reported follows from these verdicts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mutations.killing.error_control import error_control
from mutations.killing.family import correct_family
from mutations.killing.margin_permutation import LEVEL
from mutations.killing.registry import kill_test
from mutations.killing.splits import DRAWS
from orchestration.campaign.findings import Findings
from orchestration.campaign.result import ErrorControlResult, MutantVerdict

SMALLEST_DRAWN_P = 1 / (DRAWS + 1)


def corrected(entries: Sequence[MutantVerdict], control: str) -> list[MutantVerdict]:
    """The verdicts corrected as one family; equal entries are one comparison."""
    return _correct(entries, control)[0]


def correct_report(findings: Findings) -> None:
    """Correct all verdicts of the campaign together, and note how."""
    control = findings.campaign.error_control
    parts = [findings.verdicts, findings.first_order, findings.above_first_order]
    entries, findings.error_control = _correct([entry for part in parts for entry in part], control)
    findings.notes += unreachable(findings.error_control)
    first, second = len(parts[0]), len(parts[0]) + len(parts[1])
    findings.verdicts, findings.first_order = entries[:first], entries[first:second]
    findings.above_first_order = entries[second:]


def unreachable(control: ErrorControlResult) -> list[str]:
    """A note where the family is so large that drawn splits cannot show a kill."""
    if control.kills or control.comparisons * SMALLEST_DRAWN_P <= LEVEL:
        return []
    needed = f"a p-value of at most {LEVEL / control.comparisons:.2g} for the first one"
    return [
        f"No comparison is killed, and {control.method} over {control.comparisons} comparisons needs {needed}: tests "
        "that draw 9,999 splits have none below 0.0001. Judge by fewer tests or in fewer environments."
    ]


def _correct(entries: Sequence[MutantVerdict], control: str) -> tuple[list[MutantVerdict], ErrorControlResult]:
    distinct = list(dict.fromkeys(entries))
    tests = [kill_test(entry.verdict.test) for entry in distinct]
    family = correct_family([entry.verdict for entry in distinct], tests, control)
    after = {entry: replace(entry, verdict=verdict) for entry, verdict in zip(distinct, family.verdicts, strict=True)}
    facts = ErrorControlResult(control, error_control(control).method, family.comparisons, family.kills)
    return [after[entry] for entry in entries], facts
