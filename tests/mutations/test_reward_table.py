"""Reward tables: what is accepted, and the one line that every mistake gets."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envsearch.errors import InputError
from mutations.population_file import read_pair
from mutations.reward_table import read_reward_table

HEADER = "environment,algorithm,mutant,seed,mean_reward\n"
GOOD = HEADER + "C,ppo,Healthy,0,500\nC,ppo,Healthy,1,490.5\nC,ppo,NDF,0,9\nC,ppo,NDF,1,1e1\n"

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def _write(content: str | bytes, name: str = "rewards.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return _write


def error_of(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        read_reward_table(path)
    text = str(caught.value)
    assert "\n" not in text
    assert text.startswith(str(path))
    return text.removeprefix(str(path))


def test_reads_populations_in_the_order_of_the_table(write: Write) -> None:
    (comparison,) = read_reward_table(write(GOOD + "C,ppo,ILF,1,4\nC,ppo,ILF,0,3\n"))
    assert comparison.healthy.rewards == (500.0, 490.5)
    assert [mutant.mutant for mutant in comparison.mutants] == ["NDF", "ILF"]
    assert comparison.mutants[0].rewards == (9.0, 10.0)
    assert comparison.mutants[1].rewards == (3.0, 4.0), "paired by seed, not by line"
    assert comparison.mutants[1].array.shape == (2,)


def test_groups_by_environment_and_algorithm(write: Write) -> None:
    text = GOOD + GOOD.removeprefix(HEADER).replace("ppo", "a2c") + GOOD.removeprefix(HEADER).replace("C,", "L,")
    keys = [(c.healthy.environment, c.healthy.algorithm) for c in read_reward_table(write(text))]
    assert keys == [("C", "ppo"), ("C", "a2c"), ("L", "ppo")]


@pytest.mark.parametrize(
    "content",
    [
        "\ufeff" + GOOD,
        GOOD.replace("\n", "\r\n"),
        GOOD.replace("mutant,seed", " mutant , seed "),
        GOOD.replace(",", ", "),
        GOOD + "\n\n",
        GOOD.rstrip("\n"),
        GOOD.replace(",", ";"),
        GOOD.replace("Healthy", '"Healthy"'),
        GOOD.replace(",0,", ",0.0,"),
        "mean_reward,seed,mutant,algorithm,environment\n"
        "500,0,Healthy,ppo,C\n490.5,1,Healthy,ppo,C\n9,0,NDF,ppo,C\n10,1,NDF,ppo,C\n",
    ],
    ids=["bom", "crlf", "header spaces", "cell spaces", "blank end", "no end", "semicolons", "quotes", "0.0", "order"],
)
def test_tolerates_how_tables_are_written(write: Write, content: str) -> None:
    (comparison,) = read_reward_table(write(content))
    assert comparison.healthy.rewards == (500.0, 490.5)
    assert comparison.mutants[0].seeds == (0, 1)


@pytest.mark.parametrize("name", ["NA", "None", "nan", "null", "1.0", "Ünï"])
def test_a_mutant_may_have_any_name(write: Write, name: str) -> None:
    (comparison,) = read_reward_table(write(GOOD.replace("NDF", name)))
    assert comparison.mutants[0].mutant == name


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        ("", ["the file is empty"]),
        ("\n \n", ["the file is empty"]),
        (HEADER, ["only a header"]),
        (b"\xff\xfe\x00", ["not UTF-8"]),
        (GOOD.replace("mean_reward", "mean_rewards"), ["line 1", "'mean_reward' is missing", "'mean_rewards'"]),
        (GOOD.replace("mean_reward", "Mean Reward"), ["'mean_reward' is missing", "'Mean Reward'"]),
        (GOOD.replace("seed", "x"), ["line 1", "'seed' is missing", "environment, algorithm, mutant, seed"]),
        (GOOD.replace("seed,", "seed,std,").replace(",0,", ",0,1,").replace(",1,", ",1,1,"), ["'std' is unknown"]),
        (GOOD.replace("seed", "mutant"), ["'mutant' appears twice"]),
        (GOOD.replace("mean_reward", ""), ["column 5 has no name"]),
        (GOOD.replace("490.5", "nan"), ["line 3: mean_reward", "'nan'", "finite number"]),
        (GOOD.replace("490.5", ""), ["line 3: mean_reward", "missing value"]),
        (GOOD.replace("490.5", "inf"), ["line 3: mean_reward", "infinite"]),
        (GOOD.replace("490.5", "1e999"), ["line 3: mean_reward", "too large"]),
        (GOOD.replace("490.5", "many"), ["line 3: mean_reward", "'many' is not a number"]),
        (GOOD.replace("490.5", "4_9"), ["line 3: mean_reward", "not a number"]),
        (GOOD.replace("490.5", "490,5"), ["line 3", "6 cells, but the header has 5"]),
        (GOOD.replace("ppo,NDF,0", "NDF,0"), ["line 4", "4 cells"]),
        (GOOD.replace("Healthy,1", "Healthy,0"), ["line 3: seed", "seed 0 of C/ppo/Healthy appears twice", "line 2"]),
        (GOOD.replace("Healthy,1", "Healthy,1.5"), ["line 3: seed", "whole"]),
        (GOOD.replace("NDF,1", ",1"), ["line 5: mutant", "empty"]),
        (GOOD.replace("Healthy", "healthy"), ["no healthy rows for C/ppo", "'healthy'", "Healthy"]),
        (GOOD.replace("Healthy", "Base"), ["no healthy rows for C/ppo", "rows named Healthy"]),
        (GOOD.replace("NDF", "Healthy").replace(",1,1e1", ",3,1").replace(",0,9", ",2,1"), ["only healthy rows"]),
        (GOOD + "C,ppo,ILF,0,4\n", ["C/ppo/ILF has 1 agents", "healthy population 2", "seed 1 missing in the mutant"]),
        (GOOD.replace("NDF,1", "NDF,7"), ["C/ppo/NDF", "different seeds", "seed 1 missing"]),
        (GOOD + "L,ppo,NDF,0,4\n", ["no healthy rows for L/ppo"]),
        (GOOD.replace("C,ppo,NDF,0", '"C,ppo,NDF,0'), ["CSV"]),
    ],
)
def test_mistakes_are_named_in_one_line(write: Write, content: str | bytes, parts: list[str]) -> None:
    text = error_of(write(content))
    for part in parts:
        assert part in text


def test_missing_file_and_directory(tmp_path: Path) -> None:
    assert "no such file" in error_of(tmp_path / "none.csv")
    assert "is a directory" in error_of(tmp_path)


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=6))
def test_numbers_come_back_as_written(tmp_path_factory: pytest.TempPathFactory, rewards: list[float]) -> None:
    path = tmp_path_factory.mktemp("t") / "t.csv"
    rows = [f"C,ppo,{name},{i},{reward!r}\n" for name in ("Healthy", "X") for i, reward in enumerate(rewards)]
    path.write_text(HEADER + "".join(rows))
    (comparison,) = read_reward_table(path)
    assert comparison.healthy.rewards == tuple(rewards) == comparison.mutants[0].rewards


RLMUTATION = " ;pred_rewards_model_0;pred_rewards_model_1;pred_rewards_model_2\r\n;500.0;497.25;-12.5\r\n"


@pytest.mark.parametrize(
    "content",
    [
        RLMUTATION,
        "500.0\n497.25\n-12.5\n",
        "reward\n500.0\n497.25\n-12.5\n",
        "500.0,497.25,-12.5\n",
        "500.0;497.25;-12.5",
        "mean_reward\n500.0\n497.25\n-12.5\n",
        "seed,mean_reward\n2,-12.5\n0,500\n1,497.25\n",
        "a,b,c\n500.0,497.25,-12.5\n",
    ],
    ids=["RLMutation", "column", "named column", "row", "row;", "tidy column", "seed column", "named row"],
)
def test_pair_forms(write: Write, content: str) -> None:
    healthy = write("500\n490\n480\n", "h.csv")
    (comparison,) = read_pair(healthy, write(content, "results_NDF.csv"))
    (mutant,) = comparison.mutants
    assert comparison.healthy.rewards == (500.0, 490.0, 480.0)
    assert comparison.healthy.mutant == "Healthy"
    assert mutant.rewards == (500.0, 497.25, -12.5)
    assert (mutant.environment, mutant.algorithm, mutant.mutant) == ("", "", "NDF")


def test_pair_takes_keys_and_seeds_from_the_file_that_has_them(write: Write) -> None:
    tidy = write(HEADER + "C,ppo,Healthy,4,1\nC,ppo,Healthy,3,2\n", "h.csv")
    (comparison,) = read_pair(tidy, write("7\n8\n", "NR.csv"))
    assert comparison.healthy.seeds == comparison.mutants[0].seeds == (3, 4)
    assert comparison.mutants[0].environment == "C"
    assert comparison.mutants[0].algorithm == "ppo"


def test_named_agents_are_put_in_the_order_of_their_numbers(write: Write) -> None:
    first = write(" ;m_0;m_1\n;1;2\n", "h.csv")
    (comparison,) = read_pair(first, write(" ;m_1;m_0\n;20;10\n", "x.csv"))
    assert comparison.mutants[0].rewards == (10.0, 20.0)


@pytest.mark.parametrize(
    ("healthy", "mutant", "parts"),
    [
        ("1\n2\n", "1\n2\n3\n", ["m.csv", "m has 3 agents, the healthy population 2"]),
        ("1\n2\n", RLMUTATION.replace(";497.25", ""), ["m.csv", "line 2", "3 cells under 4 names"]),
        ("1\n2\n3\n", RLMUTATION.replace("497.25", "nan"), ["m.csv", "line 2: pred_rewards_model_1", "'nan'"]),
        ("1\n2\n3\n", RLMUTATION + ";1;2;3\n", ["m.csv", "3 lines of 4 cells"]),
        ("1\n2\n", "1\n\n2\n", ["m.csv", "line 2", "blank"]),
        ("1\n2\n", '1\n""\n', ["m.csv", "line 2", "missing value"]),
        ("1\n2\n", "nan\n2\n", ["m.csv", "line 1", "'nan'"]),
        ("1\n2\n", "1\nx\n", ["m.csv", "line 2", "'x' is not a number"]),
        ("1O\n2\n", "1\n2\n", ["h.csv", "line 1", "'1O' is not a number"]),
        ("1\n2\n", "reward\n", ["m.csv", "only a header"]),
        ("", "1\n", ["h.csv", "empty"]),
        (GOOD, "1\n2\n", ["h.csv", "several populations", "--table"]),
        ("1\n2\n", GOOD, ["m.csv", "several populations", "--table"]),
        (HEADER + "C,ppo,NDF,0,1\n", "1\n", ["h.csv", "holds the mutant 'NDF'", "--healthy"]),
        (HEADER + "C,ppo,Healthy,0,1\n", HEADER + "L,ppo,X,0,1\n", ["m.csv", "different environments", "'C'", "'L'"]),
        (HEADER + "C,ppo,Healthy,0,1\n", HEADER + "C,a2c,X,0,1\n", ["different algorithms"]),
        ("seed,mean_reward\n0,1\n", "seed,mean_reward\n5,1\n", ["m.csv", "different seeds"]),
        ("seed,mean_reward\n0,1\n", "seed,reward\n5,1\n", ["m.csv", "'mean_reward' is missing", "'reward'"]),
        (" ;m_0;m_0\n;1;2\n", "1\n2\n", ["h.csv", "'m_0' appears twice"]),
    ],
)
def test_pair_mistakes(write: Write, healthy: str, mutant: str, parts: list[str]) -> None:
    with pytest.raises(InputError) as caught:
        read_pair(write(healthy, "h.csv"), write(mutant, "m.csv"))
    for part in parts:
        assert part in str(caught.value)
