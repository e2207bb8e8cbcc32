"""What every kill test must do; run on the built-in ones by the tests, and on a user's own by ``proctor check``."""

from __future__ import annotations

import pickle
from collections.abc import Callable

import numpy as np

from envsearch.checks import Check
from envsearch.errors import InputError
from mutations.killing.kill_test import (
    CorrectedKillTest,
    Correction,
    Direction,
    KillTest,
    KillVerdict,
    Outcome,
    is_corrected,
    takes_independent,
)
from mutations.killing.statistics import Rewards

_AGENTS = 20
_HEALTHY = 450.0 + 3.0 * np.sin(np.arange(_AGENTS))
_WORSE = 100.0 + 5.0 * np.cos(np.arange(_AGENTS))
_BETTER = 490.0 + 2.0 * np.cos(np.arange(_AGENTS))
_CLOSE = _HEALTHY + 2.0 * np.cos(2.0 * np.arange(_AGENTS))


def check_kill_test(test: KillTest) -> list[Check]:
    """Every clause of the contract, each with what was seen; a failing clause does not stop the others."""
    clauses: dict[str, Callable[[KillTest], str]] = {
        "has name, summary, source, resampling and corrected": _attributes,
        "fills the verdict": _fields,
        "kills separated populations": _kills,
        "never kills identical populations": _spares,
        "reports the direction": _direction,
        "same generator, same verdict": _reproducible,
        "does not need the generator unless it resamples": _deterministic,
        "rejects NaN and infinity": _rejects_nonfinite,
        "rejects empty populations": _rejects_empty,
        "takes populations of different size, or rejects them, as it declares": _sizes,
        "leaves its input unchanged": _pure,
        "the verdict survives pickling": _pickles,
        "concludes from an adjusted p-value": _concludes,
    }
    return [_checked(name, clause, test) for name, clause in clauses.items()]


def _checked(name: str, clause: Callable[[KillTest], str], test: KillTest) -> Check:
    try:  # a user's test may fail in any way; the check reports how
        fault = clause(test)
    except Exception as error:  # noqa: BLE001
        fault = f"raised {type(error).__name__}: {error}"
    return Check(name, not fault, fault)


def _judge(test: KillTest, mutant: Rewards, healthy: Rewards = _HEALTHY, seed: int = 0) -> KillVerdict:
    return test.judge(healthy.copy(), mutant.copy(), np.random.default_rng(seed))


def _attributes(test: KillTest) -> str:
    texts = [name for name in ("name", "summary", "source") if not _is_text(getattr(test, name, None))]
    flags = [name for name in ("resampling", "corrected") if not isinstance(getattr(test, name, None), bool)]
    wrong = [f"{name} is not text" for name in texts] + [f"{name} is neither True nor False" for name in flags]
    return ", ".join(wrong)


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _fields(test: KillTest) -> str:
    for mutant in (_WORSE, _BETTER, _CLOSE, _HEALTHY):
        verdict = _judge(test, mutant)
        if not isinstance(verdict, KillVerdict):
            return f"judge returned {type(verdict).__name__}, not KillVerdict"
        if verdict.test != test.name:
            return f"verdict.test is {verdict.test!r}, the test's name {test.name!r}"
        if (verdict.n_healthy, verdict.n_mutant) != (_AGENTS, _AGENTS):
            return f"sizes {verdict.n_healthy} and {verdict.n_mutant}, expected {_AGENTS} and {_AGENTS}"
        fault = _out_of_range(verdict)
        if fault:
            return fault
    return ""


def _out_of_range(verdict: KillVerdict) -> str:
    if verdict.outcome is not None and not isinstance(verdict.outcome, Outcome):
        return f"outcome is {verdict.outcome!r}, not an Outcome or None"
    for name in ("p_value", "power"):
        value = getattr(verdict, name)
        if value is not None and not 0 <= value <= 1:
            return f"{name} is {value!r}, not in [0, 1]"
    for name in ("statistic", "effect_size", "effect_low", "effect_high"):
        value = getattr(verdict, name)
        if value is not None and not np.isfinite(value):
            return f"{name} is {value!r}; None means that there is no finite number"
    return ""


def _kills(test: KillTest) -> str:
    for name, mutant in (("much worse", _WORSE), ("much better", _BETTER)):
        outcome = _judge(test, mutant).outcome
        if outcome not in (Outcome.KILLED, None):
            return f"a {name} mutant is {outcome}"
    return ""


def _spares(test: KillTest) -> str:
    for name, rewards in (("varying", _HEALTHY), ("constant", np.full(_AGENTS, 500.0))):
        outcome = _judge(test, rewards, rewards).outcome
        if outcome is Outcome.KILLED:
            return f"identical {name} populations are killed"
    return ""


def _direction(test: KillTest) -> str:
    expected = ((_WORSE, Direction.WORSE), (_BETTER, Direction.BETTER), (_HEALTHY, Direction.EQUAL))
    for mutant, direction in expected:
        seen = _judge(test, mutant).direction
        if seen is not direction:
            return f"a mutant that is {direction} is reported as {seen}"
    return ""


def _reproducible(test: KillTest) -> str:
    first, second = _judge(test, _CLOSE, seed=7), _judge(test, _CLOSE, seed=7)
    return "" if first == second else f"{first} and then {second}"


def _deterministic(test: KillTest) -> str:
    if test.resampling:
        return ""
    first, second = _judge(test, _CLOSE, seed=1), _judge(test, _CLOSE, seed=2)
    return "" if first == second else "two generators give two verdicts, but resampling is False"


def _rejects_nonfinite(test: KillTest) -> str:
    for bad in (np.nan, np.inf):
        spoilt = _HEALTHY.copy()
        spoilt[3] = bad
        if not (_refused(test, _HEALTHY, spoilt) and _refused(test, spoilt, _HEALTHY)):
            return f"no InputError for a reward of {bad}"
    return ""


def _rejects_empty(test: KillTest) -> str:
    return "" if _refused(test, np.empty(0), np.empty(0)) else "no InputError for empty populations"


def _sizes(test: KillTest) -> str:
    if takes_independent(test):
        return _takes_sizes(test)
    return "" if _refused(test, _HEALTHY, _WORSE[:-1]) else "no InputError for 20 against 19 agents"


def _takes_sizes(test: KillTest) -> str:
    for healthy, mutant in ((_HEALTHY, _WORSE[:-7]), (_HEALTHY[:-7], _WORSE)):
        verdict = _judge(test, mutant, healthy)
        if (verdict.n_healthy, verdict.n_mutant) != (healthy.size, mutant.size):
            return f"sizes {verdict.n_healthy} and {verdict.n_mutant}, expected {healthy.size} and {mutant.size}"
        if verdict.outcome not in (Outcome.KILLED, None):
            return f"a much worse mutant of {mutant.size} agents beside {healthy.size} is {verdict.outcome}"
    return ""


def _refused(test: KillTest, healthy: Rewards, mutant: Rewards) -> bool:
    try:
        _judge(test, mutant, healthy)
    except InputError:
        return True
    return False


def _pure(test: KillTest) -> str:
    healthy, mutant = _HEALTHY.copy(), _CLOSE.copy()
    test.judge(healthy, mutant, np.random.default_rng(0))
    unchanged = np.array_equal(healthy, _HEALTHY) and np.array_equal(mutant, _CLOSE)
    return "" if unchanged else "judge modified the populations passed to it"


def _pickles(test: KillTest) -> str:
    verdict = _judge(test, _WORSE)
    return "" if pickle.loads(pickle.dumps(verdict)) == verdict else "the verdict changes when pickled"


def _concludes(test: KillTest) -> str:
    if not is_corrected(test):
        return ""
    missing = [part for part in ("level", "conclude") if not hasattr(test, part)]
    if missing:
        return f"corrected is True, but there is no {' and no '.join(missing)}"
    for verdict in (_judge(test, mutant) for mutant in (_WORSE, _HEALTHY, _BETTER, _CLOSE)):
        fault = "" if verdict.p_value is None else _conclusion_fault(test, verdict, verdict.p_value)
        if fault:
            return fault
    return ""


def _conclusion_fault(test: CorrectedKillTest, verdict: KillVerdict, p_value: float) -> str:
    kept = test.conclude(verdict, Correction(p_value, test.level, 1, "none"))
    lost = test.conclude(verdict, Correction(1.0, test.level / 100, 100, "none"))
    if any(
        (new.test, new.statistic, new.p_value) != (verdict.test, verdict.statistic, p_value) for new in (kept, lost)
    ):
        return "conclude changed the test, the statistic or the p-value"
    if (kept.p_adjusted, kept.level) != (p_value, test.level):
        return "conclude does not fill in p_adjusted and level"
    if kept.outcome is not verdict.outcome:
        return f"a family of one turns {verdict.outcome} into {kept.outcome}"
    return "a mutant is killed with an adjusted p-value of 1" if lost.outcome is Outcome.KILLED else ""
