"""The outcome of a test in a report: a child element or an attribute."""

from __future__ import annotations

from collections.abc import Mapping

from agents.scheduling.testcase import Verdict

ELEMENTS = {
    "failure": Verdict.FAILED,
    "error": Verdict.ERROR,
    "skipped": Verdict.SKIPPED,
    "skip": Verdict.SKIPPED,
    "ignored": Verdict.SKIPPED,
    "disabled": Verdict.NOT_RUN,
}
"""Child element of a test case -> verdict."""

_STRENGTH = (Verdict.PASSED, Verdict.NOT_RUN, Verdict.SKIPPED, Verdict.ERROR, Verdict.FAILED)

_WORDS = {
    **dict.fromkeys(("fail", "failed", "failure"), Verdict.FAILED),
    **dict.fromkeys(("error", "errored", "broken"), Verdict.ERROR),
    **dict.fromkeys(("skip", "skipped", "ignored", "pending", "todo", "inconclusive"), Verdict.SKIPPED),
    **dict.fromkeys(("notrun", "disabled", "suppressed", "notexecuted"), Verdict.NOT_RUN),
}
_ATTRIBUTES = ("status", "result", "outcome")


def by_attribute(attributes: Mapping[str, str]) -> Verdict:
    """The verdict in the attributes of a test case; passed if there is none."""
    values = {name.lower(): value.strip().lower() for name, value in attributes.items()}
    if values.get("executed") in ("false", "0", "no"):
        return Verdict.NOT_RUN
    words = [values.get(name, "").replace(" ", "").replace("_", "").replace("-", "") for name in _ATTRIBUTES]
    verdicts = [_WORDS[word] for word in words if word in _WORDS]
    if values.get("success") in ("false", "0", "no"):
        verdicts.append(Verdict.FAILED)
    return worst(verdicts)


def worst(verdicts: list[Verdict]) -> Verdict:
    """A failure overrides an error, and both override skipped and not run."""
    return max(verdicts, key=_STRENGTH.index, default=Verdict.PASSED)
