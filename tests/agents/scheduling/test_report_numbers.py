"""Durations of any locale: decided over the whole file, left out where they are unclear."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.scheduling.loaders.report_numbers import seconds_of


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0.25", 0.25),
        ("0,25", 0.25),
        ("0,250", 0.25),
        ("12,5", 12.5),
        ("1.234,5", 1234.5),
        ("1,234.5", 1234.5),
        ("1.234.567,8", 1234567.8),
        ("1'234.5", 1234.5),
        ("1\u202f234,5", 1234.5),
        ("2,5E-3", 0.0025),
        ("2.5e2", 250.0),
        ("\u0660\u066b\u0665", 0.5),
        (" 7 ", 7.0),
        ("3.125", 3.125),
        ("3,125", None),  # three seconds or three thousand
        ("-0.1", None),
        ("nan", None),
        ("inf", None),
        ("1e999", None),
        ("N/A", None),
        ("1,2,3", None),
        ("1.2.3", None),
        ("", None),
        (None, None),
        ("9" * 5000, None),
    ],
)
def test_a_number_alone(text, seconds):
    assert seconds_of([text]) == [seconds]


def test_an_unclear_number_is_decided_by_the_others():
    assert seconds_of(["3,125", "0,5"]) == [3.125, 0.5]
    assert seconds_of(["3,125", "0.5"]) == [3125.0, 0.5]
    assert seconds_of(["3.125", "0,5"]) == [3125.0, 0.5]
    assert seconds_of(["3,125", "0.5", "0,5"]) == [None, 0.5, 0.5]  # two writers in one file


@given(st.lists(st.integers(0, 10**8), min_size=1))
def test_both_marks_give_the_same_numbers(milliseconds):
    points = [f"{value / 1000:,.3f}" for value in [*milliseconds, 1]]
    commas = [text.translate({ord(","): ".", ord("."): ","}) for text in points]
    expected = [value / 1000 for value in [*milliseconds, 1]]
    assert seconds_of(points) == pytest.approx(expected)
    assert seconds_of(commas) == pytest.approx(expected)


@given(st.lists(st.none() | st.text(alphabet="0123456789.,eE+-' x", max_size=12)))
def test_any_text_is_a_duration_or_left_out(texts):
    seconds = seconds_of(texts)
    assert len(seconds) == len(texts)
    assert all(value is None or 0.0 <= value < float("inf") for value in seconds)
