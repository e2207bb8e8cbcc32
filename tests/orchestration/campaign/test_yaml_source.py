"""YAML as a user writes it: what its scalars mean, and one line for every mistake."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envsearch.errors import InputError
from orchestration.campaign.spec.yaml_source import parse_yaml


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "spec.yaml: is empty; expected a mapping of fields"),
        ("- 1\n", "spec.yaml: holds a list; expected a mapping of fields"),
        ("a: 1\nb: 2\na: 3\n", "spec.yaml: line 3: key 'a' appears twice"),
        ("a: {b: 1, b: 2}\n", "spec.yaml: line 1: key 'b' appears twice"),
        ("a: [1, 2\n", "spec.yaml: line 2: is not valid YAML (expected ',' or ']', but got '<stream end>')"),
        (
            "a: !!python/object:os.system x\n",
            "spec.yaml: line 1: is not valid YAML (could not determine a constructor for ",
        ),
        ("a: &x [*x]\n", "spec.yaml: line 1: is not valid YAML (found unconstructable recursive node)"),
    ],
)
def test_yaml_mistakes(text: str, line: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_yaml(text, "spec.yaml")
    assert str(caught.value)[: len(line)] == line


def test_aliases_that_explode_are_refused() -> None:
    lines = ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    with pytest.raises(InputError, match="holds more than 20000 values"):
        parse_yaml("\n".join(lines), "spec.yaml")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("1_000", 1000),
        ("off", "off"),
        ("yes", "yes"),
        ("true", True),
        ("2024-01-01", "2024-01-01"),
        ("1:30", "1:30"),
        ("0o17", "0o17"),
        ("~", None),
        ("", None),
        (".inf", float("inf")),
        ("'1'", "1"),
        ("1.", 1.0),
    ],
)
def test_scalars_mean_what_they_say(text: str, value: object) -> None:
    parsed = parse_yaml(f"x: {text}\n", "spec.yaml")["x"]
    assert parsed == value
    assert type(parsed) is type(value)


@given(st.integers(0, 2**31 - 1), st.floats(-1e6, 1e6))
def test_numbers_survive(whole: int, real: float) -> None:
    parsed = parse_yaml(f"a: {whole}\nb: {real!r}\n", "spec.yaml")
    assert (parsed["a"], parsed["b"]) == (whole, real)
