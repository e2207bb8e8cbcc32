"""Hand-made campaign results for the tests of what is made from them: report, tables, summary, MLflow."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from mutations.killing.kill_test import Direction, KillVerdict, Outcome
from mutations.psychometric import PsychometricFunction, ThresholdFinding
from mutations.score import ScoreUncertainty
from orchestration.campaign.magnitude_curve import MagnitudeCurve, MagnitudePoint
from orchestration.campaign.result import (
    BoundaryEnvironment,
    BoundaryProbe,
    BoundaryReport,
    CampaignResult,
    HigherOrderResult,
    LearningCurve,
    MutantVerdict,
    Point,
    PopulationResult,
    ScoreResult,
)
from tests.fakes.fake_engine import use_fake_engine


@pytest.fixture
def fake_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Specs resolve without building models, but for the tests that ask for the real engine."""
    use_fake_engine(monkeypatch)


PRIMARY = "paired_permutation"
START: Point = (("cart_mass", 1.0), ("pole_mass", 0.1))
SEEDS = tuple(range(8))


def _curve(level: float) -> LearningCurve:
    steps = np.linspace(0, 50_000, 26)
    mean = level * (1 - np.exp(-steps / 12_000))
    rows = (steps, mean, 0.8 * mean, np.minimum(500, 1.15 * mean))
    return LearningCurve(*(tuple(float(value) for value in row) for row in rows))


def _population(
    mutant: str,
    order: int,
    level: float,
    spread: float,
    seeds: Sequence[int] = SEEDS,
    failed: tuple[tuple[int, str], ...] = (),
    identical: tuple[int, ...] = (),
) -> PopulationResult:
    rng = np.random.default_rng(int(hashlib.sha256(mutant.encode()).hexdigest()[:8], 16))
    rewards = np.clip(rng.normal(level, spread, len(seeds)), 8, 500).round(1)
    return PopulationResult(
        mutant=mutant,
        order=order,
        seeds=tuple(seeds),
        rewards=tuple(float(reward) for reward in rewards),
        failed=failed,
        identical_seeds=identical,
        curve=_curve(level) if seeds else None,
        train_seconds=12.5 * len(seeds),
        recipe_address=hashlib.sha256(mutant.encode()).hexdigest(),
    )


def _verdict(test: str, outcome: Outcome | None, effect: float | None, agents: int = 8) -> KillVerdict:
    """A verdict with numbers that fit its outcome; `effect` is a Vargha-Delaney A, turned into a d where one is due."""
    if outcome is None:
        return KillVerdict(
            test, None, Direction.WORSE, 0.625, None, None, None, None, None, agents, agents, reason="a number"
        )
    a = 0.5 if effect is None else effect
    direction = Direction.WORSE if a < 0.5 else Direction.BETTER if a > 0.5 else Direction.EQUAL
    p_value = {Outcome.KILLED: 0.0078, Outcome.SURVIVED: 0.71, Outcome.INCONCLUSIVE: 0.184}[outcome]
    reason = {
        Outcome.KILLED: "",
        Outcome.SURVIVED: "not significant, and the 90 % interval of A [0.34, 0.66] excludes a large effect",
        Outcome.INCONCLUSIVE: "not significant, but the 90 % interval of A [0.2, 0.7] allows a large effect; use 20",
    }[outcome]
    if test == PRIMARY:
        low, high = max(0.0, a - 0.22), min(1.0, a + 0.18)
        return KillVerdict(
            test, outcome, direction, 400 * (a - 0.5), p_value, a, low, high, 0.57, agents, agents, 1.0, reason
        )
    d = abs(a - 0.5) * 12
    return KillVerdict(
        test, outcome, direction, 3.1 * d, p_value, d, None, None, 0.93, agents, agents, reason=reason.split(";")[0]
    )


def _kill_matrix(
    letters: dict[str, str], points: Sequence[Point], test: str, better: Sequence[str] = ()
) -> tuple[MutantVerdict, ...]:
    """Rows of letters (K killed, s survived, ? inconclusive), one letter for each test environment."""
    outcomes = {"K": Outcome.KILLED, "s": Outcome.SURVIVED, "?": Outcome.INCONCLUSIVE}
    effects = {"K": 0.04, "s": 0.47, "?": 0.36}
    return tuple(
        MutantVerdict(mutant, point, _verdict(test, outcomes[letter], 0.97 if mutant in better else effects[letter]))
        for mutant, row in letters.items()
        for point, letter in zip(points, row, strict=True)
    )


def _boundary(test: str, mass: float, pole: float, corner: tuple[float, float]) -> BoundaryReport:
    def at(cart: float, stick: float) -> Point:
        return (("cart_mass", cart), ("pole_mass", stick))

    asked = [
        (at(20.0, 0.1), Outcome.KILLED, 31.5),
        (at(1.0, 20.0), Outcome.KILLED, 44.0),
        (at(10.5, 0.1), Outcome.KILLED, 120.25),
        (at(1.0, 10.05), Outcome.KILLED, 377.0),
        (at(mass - 1, 0.1), Outcome.SURVIVED, 497.0),
        (at(mass + 0.4, 0.1), Outcome.KILLED, 410.5),
        (at(1.0, pole), Outcome.INCONCLUSIVE, 479.0),
        (at(mass, 0.1), Outcome.SURVIVED, 489.0),
        (at(mass, pole), Outcome.KILLED, 180.75),
        (at(*corner), Outcome.SURVIVED, 480.0),
    ]
    kept = [("initial", START), ("axis", at(mass, 0.1)), ("axis", at(1.0, pole)), ("corner", at(*corner))]
    warning = "cart_mass 5.25 was accepted although cart_mass 4.9 was not: behaviour is not monotone here"
    return BoundaryReport(
        test=test,
        environments=tuple(BoundaryEnvironment(kind, point) for kind, point in kept),
        probes=tuple(BoundaryProbe(point, outcome, mean) for point, outcome, mean in asked),
        warnings=(warning,) if test == PRIMARY else (),
    )


def _points(report: BoundaryReport) -> tuple[Point, ...]:
    return tuple(environment.point for environment in report.environments)


def _populations() -> tuple[PopulationResult, ...]:
    lost = ((3, "ValueError: Expected parameter loc to be finite"),)
    return (
        _population("Healthy", 0, 492, 14),
        _population("NDF", 1, 310, 120),
        _population("MTS", 1, 455, 40),
        _population("NR", 1, 60, 30, tuple(seed for seed in SEEDS if seed != 3), lost),
        _population("ILF", 1, 9.4, 0.4),
        _population("RN_1.0", 1, 486, 20),
        _population("R_1.0", 1, 497, 3),
        _population("PAC_ReLU", 1, 500, 0),
        _population("POC_Adam", 1, 492, 14, identical=SEEDS),
        _population("NDF-MTS", 2, 240, 110),
        _population("MTS-RN_1.0", 2, 470, 30, (), ((0, "RuntimeError: out of memory"),)),
    )


def _verdicts() -> tuple[MutantVerdict, ...]:
    outcomes = {
        "NDF": (Outcome.KILLED, 0.08),
        "MTS": (Outcome.INCONCLUSIVE, 0.31),
        "NR": (Outcome.KILLED, 0.0),
        "ILF": (Outcome.KILLED, 0.0),
        "RN_1.0": (Outcome.INCONCLUSIVE, 0.42),
        "R_1.0": (Outcome.SURVIVED, 0.52),
        "PAC_ReLU": (Outcome.KILLED, 0.88),
    }
    rows = []
    for test in ("average_ratio", PRIMARY, "reward_distribution", "distance_distribution"):
        for mutant, (outcome, effect) in outcomes.items():
            agents = 7 if mutant == "NR" else 8
            shown = None if test == "average_ratio" else outcome
            rows.append(MutantVerdict(mutant, START, _verdict(test, shown, effect, agents)))
    return tuple(rows)


PROVENANCE = {
    "versions": {"python": "3.11.2", "torch": "2.13.0", "stable_baselines3": "2.9.2", "gymnasium": "1.4.0"},
    "platform": "Linux x86_64, 2 cores",
    "seeds": list(SEEDS),
    "evaluation": {"episodes": 10, "seed": 420},
    "cost": {"train_seconds": 950.0, "evaluate_seconds": 61.25, "wall_seconds": 540.5},
    "spec_hash": "5d41402abc4b2a76b9719d911017c592",
}


def _campaign() -> CampaignResult:
    ours = _boundary(PRIMARY, 5.9, 8.4, (3.4, 4.6))
    theirs = _boundary("reward_distribution", 6.64, 10.36, (3.9, 5.4))
    first = {"NDF": "KKsK", "MTS": "?KsK", "NR": "KKKK", "ILF": "KKKK", "RN_1.0": "??s?", "R_1.0": "ssss"}
    rows = {**first, "PAC_ReLU": "KsKK", "NDF-MTS": "KKss"}
    killed = ("NDF", "MTS", "NR", "ILF", "PAC_ReLU")
    never = ("RN_1.0", "R_1.0")
    minimal = (_points(ours)[0], _points(ours)[1])
    uncertainty = ScoreUncertainty(4 / 7, 6 / 7, 0.0, (0.9, 0.8, 0.0, 0.3), 0.86, 400)
    return CampaignResult(
        run_id="9b1f0c6a57d24f0e8f7c0d2e6f4a1b3c",
        name="cartpole-ppo",
        spec={"environment": "CartPole-v1", "algorithm": "ppo", "seeds": 8, "operators": ["NDF", {"RN": 1.0}]},
        status="complete",
        stop_reason="",
        notes=("LunarLander-v2 was taken as gymnasium's LunarLander-v3.",),
        environment="CartPole-v1",
        algorithm="ppo",
        parameters=("cart_mass", "pole_mass"),
        threshold=475.0,
        populations=_populations(),
        verdicts=_verdicts(),
        boundaries=(ours, theirs),
        kill_matrix=(
            *_kill_matrix(rows, _points(ours), PRIMARY, ("PAC_ReLU",)),
            *_kill_matrix(rows, _points(theirs), "reward_distribution"),
        ),
        higher_order=(
            HigherOrderResult(PRIMARY, "NDF-MTS", ("NDF", "MTS"), "Weakly Subsuming and Coupled", "Non-subsuming"),
            HigherOrderResult("reward_distribution", "NDF-MTS", ("NDF", "MTS"), "Non-subsuming", "Non-subsuming"),
        ),
        scores=(
            ScoreResult(PRIMARY, 5 / 7, killed, ("NR", "ILF"), never, ("RN_1.0",), minimal, 6 / 7, uncertainty),
            ScoreResult("reward_distribution", 5 / 7, killed, ("NR", "ILF"), never, ("RN_1.0",), (_points(theirs)[1],)),
        ),
        published=(
            {"mutant": "NDF", "test": "average_ratio", "published": 0.65, "ours": 0.625, "agree": True},
            {"mutant": "NDF", "test": "reward_distribution", "published": "killed", "ours": "killed", "agree": True},
            {"mutant": "MTS", "test": "average_ratio", "published": 0.05, "ours": 0.625, "agree": False},
            {"mutant": "MTS", "test": "reward_distribution", "published": "inconclusive", "ours": None, "agree": None},
        ),
        provenance=PROVENANCE,
        magnitude_curves=_curves(),
    )


def _curves() -> tuple[MagnitudeCurve, ...]:
    """A sweep with a threshold and one without; RN_1.0 has the campaign's verdict."""
    verdicts = [entry.verdict for entry in _verdicts() if (entry.mutant, entry.verdict.test) == ("RN_1.0", PRIMARY)]
    points = (
        MagnitudePoint(0.1, "RN_0.1", 0, 8, 0.0, 0.32, ()),
        MagnitudePoint(0.4, "RN_0.4", 3, 8, 0.14, 0.69, ()),
        MagnitudePoint(1.0, "RN_1.0", 8, 8, 0.68, 1.0, tuple(verdicts)),
    )
    function = PsychometricFunction(guess=0.0, lapse=0.0, threshold=0.45, slope=3.0)
    none = "the share of noticed agents does not rise with the magnitude (p = 0.4)"
    return (
        MagnitudeCurve("RN", 470.0, 0, 8, points, ThresholdFinding.WITHIN, 0.45, 0.2, None, function, ""),
        MagnitudeCurve("R", 470.0, 0, 8, points[:2], ThresholdFinding.NONE, None, None, None, None, none),
    )


@pytest.fixture
def campaign_result() -> CampaignResult:
    """A complete campaign: all outcomes, a better mutant, one not live, failed agents, two boundary searches."""
    return _campaign()


@pytest.fixture
def stopped_result() -> CampaignResult:
    """A campaign that stopped at sanity: only its healthy population is there."""
    reason = "healthy population too weak: mean 212.4 is below the threshold 475; raise steps (now 20000)"
    return dataclasses.replace(
        _campaign(),
        status="stopped",
        stop_reason=reason,
        populations=(_population("Healthy", 0, 212, 60),),
        verdicts=(),
        boundaries=(),
        kill_matrix=(),
        higher_order=(),
        scores=(),
        published=(),
    )


@pytest.fixture
def make_verdict() -> Callable[[str, Outcome], KillVerdict]:
    """A verdict of a test with an outcome, with numbers that fit it."""
    effects = {Outcome.KILLED: 0.04, Outcome.SURVIVED: 0.5, Outcome.INCONCLUSIVE: 0.36}
    return lambda test, outcome: _verdict(test, outcome, effects[outcome])
