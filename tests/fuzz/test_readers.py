"""Every reader of what others wrote: any bytes give a value or one line of `InputError`; bombs are refused early."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from agents.scheduling.episode_codec import episode_from_bytes
from agents.scheduling.loaders import parquet, rows
from agents.scheduling.loaders.coleman import load_coleman_csv, load_coleman_parquet
from agents.scheduling.loaders.junit_report import MAX_DEPTH, parse_report
from agents.scheduling.loaders.junit_xml import load_junit
from agents.scheduling.loaders.recorded import append_cycle, load_recorded
from agents.scheduling.loaders.registry import load_history
from agents.scheduling.loaders.retecs import load_retecs
from agents.scheduling.state import from_bytes
from envsearch.errors import InputError
from mutations import delimited_file
from mutations.delimited_file import read_records
from mutations.parsing import parse_mutant, parse_mutation
from orchestration.campaign.result_file import read_result
from orchestration.campaign.spec.loading import load_spec, parse_spec
from orchestration.campaign.spec.yaml_source import MAXIMUM_DEPTH, parse_yaml
from orchestration.service.store.sql import SqlStore
from orchestration.service.tokens import Scope, Tokens

QUICK = settings(
    max_examples=60,
    derandomize=True,  # the same inputs every time
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

RETECS = b"Id;Name;Duration;CalcPrio;LastRun;LastResults;Verdict;Cycle\n1;a;5;0;;[1];0;1\n2;b;7;0;;[];1;2\n"
COLEMAN = b"Id,Name,BuildId,Duration,CalcPrio,LastRun,Verdict,Cycle\n1,a,1,0.5,0,,0,1\n2,b,2,0.1,0,,1,1\n"
JUNIT = b"""<?xml version="1.0"?><testsuites><testsuite name="s"><testcase classname="c" name="a" time="1.5"/>
<testcase name="b"><failure message="x">text</failure></testcase></testsuite></testsuites>"""
TABLE = b"mutant,seed,reward\nHealthy,0,1.5\nNDF,0,2\n"
SPEC = b"environment: CartPole-v1\nalgorithm: ppo\nseeds: 3\noperators: [NDF, {name: RN, magnitude: 0.5}]\n"


def quietly(read: Callable[[], object], longest: int = 2000) -> None:
    """Whatever it gives; an error is the user's, and one short line."""
    try:
        read()
    except InputError as error:
        assert "\n" not in str(error)
        assert len(str(error)) <= longest


def spoiled(seed: bytes) -> st.SearchStrategy[bytes]:
    """The seed with some bytes replaced, cut or repeated; and anything at all."""
    pieces = st.sampled_from([b"\0", b"\xff\xfe", b'"', b";", b",", b"\n", b"<", b"&", b"[", b"{", b"9" * 400, b"nan"])

    @st.composite
    def mutated(draw: st.DrawFn) -> bytes:
        data = seed
        for _ in range(draw(st.integers(1, 4))):
            start = draw(st.integers(0, len(data)))
            end = draw(st.integers(start, min(len(data), start + 20)))
            data = data[:start] + draw(pieces | st.binary(max_size=6)) + data[end:]
        return data

    return mutated() | st.binary(max_size=200)


@QUICK
@given(data=spoiled(RETECS))
def test_retecs(data: bytes, tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_bytes(data)
    quietly(lambda: load_retecs(file))
    quietly(lambda: load_history(file))


@QUICK
@given(data=spoiled(COLEMAN))
def test_coleman(data: bytes, tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_bytes(data)
    quietly(lambda: load_coleman_csv(file))


@QUICK
@given(data=spoiled(JUNIT))
@example(data=b'<!DOCTYPE a [<!ENTITY b "c">]><testsuite>&b;</testsuite>')
@example(data=b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><testsuite/>')
@example(data=b"<testsuite>" * (MAX_DEPTH + 1))
@example(data=b'<?xml version="1.0" encoding="utf-7"?><testsuite/>')
@example(data=b'<testsuite><testcase name="' + b"a" * 10_000 + b'"/></testsuite>')
def test_junit(data: bytes, tmp_path: Path) -> None:
    quietly(lambda: parse_report(io.BytesIO(data), "report.xml"))
    (tmp_path / "a.xml").write_bytes(data)
    quietly(lambda: load_junit(tmp_path))


def test_entities_are_refused_before_they_are_read() -> None:
    laughs = "".join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 10}">' for i in range(1, 20))
    text = f'<!DOCTYPE a [<!ENTITY l0 "ha">{laughs}]><testsuite name="&l19;"/>'
    with pytest.raises(InputError, match="document type or entities"):
        parse_report(io.BytesIO(text.encode()), "report.xml")


@QUICK
@given(data=spoiled(TABLE))
def test_reward_tables(data: bytes, tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_bytes(data)
    quietly(lambda: read_records(file, ("mutant", "seed", "reward")))


def test_tables_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "a.csv"
    file.write_text(",".join(map(str, range(20_000))) + "\n1")
    with pytest.raises(InputError, match="20000 columns"):
        read_records(file, ("a",))
    file.write_text("a\n" + '"' + "x" * 200_000 + '"\n')
    quietly(lambda: read_records(file, ("a",)))
    monkeypatch.setattr(delimited_file, "MOST_BYTES", 100)
    with pytest.raises(InputError, match="too large"):
        read_records(file, ("a",))


@pytest.mark.parametrize(
    ("cell", "problem"),
    [("x" * 5000, "is too long"), ("x" * (17 << 20), "field larger than field limit"), ("9" * 4000, "expected")],
)
def test_a_huge_cell_is_told_in_one_short_line(tmp_path: Path, cell: str, problem: str) -> None:
    file = tmp_path / "a.csv"
    name = cell if cell[0] == "x" else "a"
    file.write_text(f"Name;Duration;Verdict;Cycle\n{name};1;0;{cell if name == 'a' else 1}\n")
    with pytest.raises(InputError, match=problem) as refused:
        load_retecs(file)
    assert len(str(refused.value)) < 500


def test_rows_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "a.csv"
    file.write_bytes(RETECS)
    monkeypatch.setattr(rows, "MOST_ROWS", 1)
    with pytest.raises(InputError, match="too many rows"):
        load_retecs(file)
    monkeypatch.setattr(rows, "MOST_BYTES", 10)
    with pytest.raises(InputError, match="too large"):
        load_retecs(file)


# -- Parquet ----------------------------------------------------------------------------------------------------------


def recorded(path: Path, **others: Any) -> Path:
    columns = {"cycle": [1, 1], "job": ["", ""], "test": ["a", "b"], "duration": [1.0, None]}
    columns |= {"verdict": ["passed", "failed"], "finished_at": [None, 5.0], **others}
    pq.write_table(pa.table(columns), path)
    return path


@QUICK
@given(place=st.floats(0, 1), value=st.binary(min_size=1, max_size=4), cut=st.integers(0, 300) | st.just(0))
def test_damaged_parquet(place: float, value: bytes, cut: int, tmp_path: Path) -> None:
    whole = recorded(tmp_path / "whole.parquet").read_bytes()
    start = int(place * len(whole))
    file = tmp_path / "a.parquet"
    file.write_bytes((whole[:start] + value + whole[start + len(value) :])[: len(whole) - cut])
    quietly(lambda: load_recorded(file))
    quietly(lambda: load_history(file))


values = st.one_of(
    st.lists(st.integers(-(2**63), 2**63 - 1), min_size=2, max_size=2),
    st.lists(st.floats(), min_size=2, max_size=2),
    st.lists(st.text(max_size=5) | st.none(), min_size=2, max_size=2),
    st.lists(st.binary(max_size=5), min_size=2, max_size=2),
    st.lists(st.lists(st.integers(0, 5)), min_size=2, max_size=2),
    st.just([True, None]),
    st.just([None, None]),
    st.just([np.datetime64(5, "s"), np.datetime64(6, "s")]),
)


@QUICK
@given(name=st.sampled_from(["cycle", "job", "test", "duration", "verdict", "finished_at", "feature.x"]), column=values)
def test_columns_of_other_types(name: str, column: list[Any], tmp_path: Path) -> None:
    file = recorded(tmp_path / "a.parquet", **{name: pa.array(column)})
    quietly(lambda: load_recorded(file))


@QUICK
@given(name=st.sampled_from(["Name", "Duration", "Verdict", "BuildId"]), column=values)
def test_coleman_columns_of_other_types(name: str, column: list[Any], tmp_path: Path) -> None:
    columns = {"Name": ["a", "b"], "Duration": [1.0, 2.0], "Verdict": [0, 1], "BuildId": [1, 2]}
    file = tmp_path / "a.parquet"
    pq.write_table(pa.table({**columns, name: pa.array(column)}), file)
    quietly(lambda: load_coleman_parquet(file))


def test_rows_are_counted_before_they_are_unpacked(tmp_path: Path) -> None:
    """21 million rows in a file of some kilobytes."""
    file = tmp_path / "a.parquet"
    many = parquet.MOST_ROWS + 1
    table = pa.table({"Name": pa.DictionaryArray.from_arrays(pa.array(np.zeros(many, np.int8)), ["a"])})
    pq.write_table(table, file, row_group_size=many)
    assert file.stat().st_size < 100_000
    with pytest.raises(InputError, match=f"has {many} rows"):
        parquet.read_bounded(file, ["Name"])


def test_a_long_text_that_is_repeated_is_counted_before_it_is_written_out(tmp_path: Path) -> None:
    """A megabyte, 100,000 times: 100 GB in a file of a megabyte."""
    file = tmp_path / "a.parquet"
    table = pa.table({"Name": pa.DictionaryArray.from_arrays(pa.array(np.zeros(100_000, np.int8)), ["a" * (1 << 20)])})
    pq.write_table(table, file, dictionary_pagesize_limit=2 << 20)
    assert file.stat().st_size < 2_000_000
    with pytest.raises(InputError, match="is too large when unpacked"):
        parquet.read_bounded(file, ["Name"])


def test_what_a_file_says_of_its_size_is_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = recorded(tmp_path / "a.parquet")
    monkeypatch.setattr(parquet, "MOST_BYTES", 10)
    with pytest.raises(InputError, match="is too large when unpacked"):
        load_recorded(file)
    monkeypatch.setattr(parquet, "MOST_COLUMNS", 3)
    with pytest.raises(InputError, match="columns"):
        load_recorded(file)


def test_a_history_is_appended_to_as_before(tmp_path: Path) -> None:
    file = recorded(tmp_path / "a.parquet")
    cycle = load_recorded(file).cycles[0]
    assert append_cycle(cycle, file) == 2
    assert [len(cycle) for cycle in load_recorded(file)] == [2, 2]


# -- YAML and JSON ----------------------------------------------------------------------------------------------------

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
trees = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
)
FIELDS = ("environment", "algorithm", "seeds", "operators", "kill_tests", "boundary", "evaluation", "name", "sanity")


@QUICK
@given(data=spoiled(SPEC))
def test_spec_files(data: bytes, tmp_path: Path) -> None:
    file = tmp_path / "spec.yaml"
    file.write_bytes(data)
    quietly(lambda: load_spec(file))


@QUICK
@given(content=st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=5), trees, max_size=5))
def test_specs_of_any_values(content: dict[str, Any]) -> None:
    quietly(lambda: parse_spec({"environment": "CartPole-v1", "algorithm": "ppo", **content}))
    quietly(lambda: parse_spec(content))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: " + "[" * 100_000, f"deeper than {MAXIMUM_DEPTH}"),
        ("\n".join(" " * depth + "a:" for depth in range(300)), f"deeper than {MAXIMUM_DEPTH}"),
        ("a: &a [*a]", "recursive"),
        ("a: " + "9" * 5000, "is not valid YAML"),
        ("? [a]\n: b", "unhashable"),
        ("a: !!python/object/apply:os.system [ls]", "could not determine a constructor"),
        ("a: !!bool x", "is not valid YAML"),
        ("a: !!timestamp 2001-99-99", "is not valid YAML"),
        ("- 1", "holds a list"),
        ("", "is empty"),
    ],
)
def test_what_is_no_spec(text: str, problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        parse_yaml(text, "spec.yaml")


@pytest.mark.parametrize("form", ["[{}]", "{{<<: [{}]}}", "{{k: [{}]}}"])
def test_aliases_do_not_multiply(form: str) -> None:
    """Ten to the fortieth values in three kilobytes."""
    levels = [f"a{i}: &a{i} {form.format(','.join([f'*a{i - 1}'] * 10))}" for i in range(1, 40)]
    with pytest.raises(InputError, match=r"more than \d+ values|expected a mapping"):
        parse_yaml("\n".join(["a0: &a0 {k: 1}", *levels]), "spec.yaml")


def test_the_bounds_of_yaml_leave_room_for_specs() -> None:
    nested: Any = 1
    for _ in range(20):
        nested = {"a": [nested]}
    assert parse_yaml(yaml.safe_dump(nested), "spec.yaml") == nested
    assert parse_yaml("a: &a {x: 1}\nb: {<<: *a, y: 2}", "s")["b"] == {"x": 1, "y": 2}


@pytest.mark.parametrize("data", [b"[" * 200_000, b'{"a":' * 100_000, b"\xff", b"{}", b"9" * 10_000, b"NaN", b""])
def test_result_files(data: bytes, tmp_path: Path) -> None:
    file = tmp_path / "result.json"
    file.write_bytes(data)
    with pytest.raises(InputError):
        read_result(file)


# -- names of mutants, saved states -----------------------------------------------------------------------------------

ALPHABET = "NDFRSMTPACLU_-[]=,.0123456789e+ \x00\u0660é"


@QUICK
@given(text=st.text(ALPHABET, max_size=30) | st.text(max_size=30))
@example(text="RN_" + "9" * 5000)
@example(text="-".join(["NDF"] * 2000))
@example(text="RN[" * 2000)
@example(text="RN_1e400")
@example(text="RN_nan")
def test_mutants(text: str) -> None:
    quietly(lambda: parse_mutant(text), longest=200_000)
    quietly(lambda: parse_mutation(text), longest=200_000)


@QUICK
@given(data=st.binary(max_size=300) | st.binary(max_size=100).map(lambda tail: b"PK\x03\x04" + tail))
def test_saved_states_and_episodes(data: bytes) -> None:
    quietly(lambda: from_bytes(data))
    quietly(lambda: episode_from_bytes(data))
    quietly(lambda: episode_from_bytes(b"PEP1" + data))


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> Tokens:
    return Tokens(SqlStore(str(tmp_path_factory.mktemp("tokens") / "service.db")))


@QUICK
@given(text=st.text(max_size=80) | st.text("proctor_0123456789abcdefA-", max_size=70))
@example(text="proctor_000000000000_" + "A" * 43)
@example(text="proctor_000000000000_" + "A" * 42 + "\ud800")
@example(text="proctor_" * 10_000)
@example(text="\ud800")
def test_tokens(text: str, tokens: Tokens) -> None:
    assert tokens.verify(text) is None


@QUICK
@given(prefix=st.text(max_size=10), note=st.text(max_size=300))
@example(prefix="../x", note="")
def test_tokens_are_made_for_names_only(prefix: str, note: str, tokens: Tokens) -> None:
    quietly(lambda: tokens.create([Scope.READ], prefix, note))
    assert all("/" not in row.agent_prefix and not row.agent_prefix.startswith(".") for row in tokens.all())


def test_field_limits_of_csv_are_never_lowered() -> None:
    with contextlib.suppress(InputError):
        list(rows.read_rows(Path(os.devnull), ";", ("a",)))
    assert csv.field_size_limit() >= 131_072
    assert json.loads("1") == 1
