"""Every frozen dataclass and every exception of the project survives pickling unchanged.

Tasks, actors and stores exchange them; an exception that cannot be rebuilt hides the error that it should report.
Instances are made from the type hints; a class that accepts only some values has an example in `EXAMPLES`.
"""

from __future__ import annotations

import collections.abc
import dataclasses
import enum
import importlib
import inspect
import pickle
import types
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from envsearch.errors import InputError

ROOT = Path(__file__).parents[2]
PACKAGES = ("serve_app", "orchestration", "mutations", "agents", "envsearch")

SCALARS: dict[Any, Any] = {
    str: "text",
    int: 3,
    float: 0.5,
    bool: True,
    bytes: b"bytes",
    type(None): None,
    Any: "anything",
    object: "anything",
    Path: Path("a/file"),
}

STAYS_AT_HOME = {
    "agents.deeprl.engines.fleet.on_policy.OnPolicyProgram": "is compiled; a task builds it from the recipe",
    "agents.deeprl.engines.fleet.dqn.DQNProgram": "is compiled; a task builds it from the recipe",
    "orchestration.service.api.columns.Job": "holds the columns of its owner; what crosses a border is the body",
    "agents.scheduling.history_replay.ReplayResult": "holds the live scheduler; what crosses a border is its summary",
    "orchestration.studies.replay.ReplayedPair": "holds such results, for the report in the driver",
    "orchestration.studies.replay_http.HttpReplay": "holds an open connection; it works in the driver",
}
"""Class -> why it never crosses a border between processes. Not for new data: split the object off instead."""


def module_names(root: Path = ROOT) -> list[str]:
    """Every module of the packages except ``__main__``, which runs the program."""
    names = []
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*.py")):
            parts = path.relative_to(root).with_suffix("").parts
            if parts[-1] != "__main__":
                names.append(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    return names


def imported() -> tuple[dict[str, types.ModuleType], list[str]]:
    """The modules, and one line for each that cannot be imported."""
    modules, broken = {}, []
    for name in module_names():
        try:
            modules[name] = importlib.import_module(name)
        except Exception as error:  # noqa: BLE001 - a module may fail in any way while it is imported
            broken.append(f"{name}: {type(error).__name__}: {error}")
    return modules, broken


MODULES, BROKEN = imported()


def classes(wanted: Callable[[type], bool]) -> list[type]:
    """Classes defined in our modules that are `wanted`, in a fixed order."""
    types_by_name: dict[str, type] = {}
    for name, module in MODULES.items():
        for item in vars(module).values():
            if inspect.isclass(item) and item.__module__ == name and wanted(item):
                types_by_name[f"{name}.{item.__qualname__}"] = item
    return list(types_by_name.values())


def is_frozen_dataclass(item: type) -> bool:
    """Private ones (a leading underscore) never leave their module, and may hold anything."""
    if item.__name__.startswith("_"):
        return False
    return dataclasses.is_dataclass(item) and item.__dataclass_params__.frozen  # type: ignore[attr-defined]


def a_function(*arguments: Any) -> Any:
    """Stands for any function: those that cross borders are found by name."""
    return arguments


def value(hint: Any, depth: int = 0) -> Any:
    """A value of a type hint; containers hold one or two."""
    if hint in SCALARS:
        return SCALARS[hint]
    if hint is np.ndarray or typing.get_origin(hint) is np.ndarray:
        kind = typing.get_args(typing.get_args(hint)[1])[0] if typing.get_args(hint) else np.float64
        return np.zeros(3, dtype=kind if inspect.isclass(kind) else np.float64)
    if inspect.isclass(hint):
        return _of_class(hint, depth)
    if isinstance(hint, typing.TypeVar):
        return value(hint.__bound__ or Any, depth)
    return _of_generic(hint, typing.get_origin(hint), typing.get_args(hint), depth)


def _of_class(hint: type, depth: int) -> Any:
    if issubclass(hint, enum.Enum):
        return next(iter(hint))
    if dataclasses.is_dataclass(hint):
        return example(hint, depth + 1)
    plain: dict[type, Any] = {tuple: (1, "a"), list: [1], dict: {"a": 1}, frozenset: frozenset({1}), set: {1}}
    if hint in plain:
        return plain[hint]
    return hint()


def _of_generic(hint: Any, origin: Any, arguments: tuple[Any, ...], depth: int) -> Any:
    if origin is typing.Literal:
        return arguments[0]
    if origin is typing.Annotated:
        return value(arguments[0], depth)
    if origin in (typing.Union, types.UnionType):
        return value(arguments[0], depth)
    if origin is tuple:
        if len(arguments) == 2 and arguments[1] is Ellipsis:
            return (value(arguments[0], depth),)
        return tuple(value(argument, depth) for argument in arguments)
    if origin is type:
        return arguments[0]
    if origin is collections.abc.Callable:
        return a_function
    if origin in (dict, collections.abc.Mapping, types.MappingProxyType):
        return {value(arguments[0], depth): value(arguments[1], depth)}
    if origin in (list, collections.abc.Sequence, collections.abc.Iterable, collections.abc.Collection):
        return [value(arguments[0], depth)]
    if origin in (set, frozenset):
        return origin({value(arguments[0], depth)})
    raise TypeError(f"no value for {hint}: add one to this test")


def example(item: type, depth: int = 0) -> Any:
    """An instance of a dataclass, every field filled from its type hint."""
    assert depth < 12, f"{item} holds itself: add an example"
    name = f"{item.__module__}.{item.__qualname__}"
    if name in EXAMPLES:
        return EXAMPLES[name]()
    hints = typing.get_type_hints(item)
    fields = [field for field in dataclasses.fields(item) if field.init]
    try:
        return item(**{field.name: value(hints[field.name], depth) for field in fields})
    except (InputError, ValueError):  # not every text is a value: what has a default keeps it
        needed = [f for f in fields if f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING]
        return item(**{field.name: value(hints[field.name], depth) for field in needed})


def same(left: Any, right: Any) -> bool:
    """Equality that goes into dataclasses and arrays, which have none of their own."""
    if type(left) is not type(right):
        return False
    if isinstance(left, np.ndarray):
        return left.dtype == right.dtype and np.array_equal(left, right)
    if dataclasses.is_dataclass(left) and not isinstance(left, type):
        return all(same(getattr(left, f.name), getattr(right, f.name)) for f in dataclasses.fields(left))
    if isinstance(left, list | tuple):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    return bool(left == right)


def _parameter() -> Any:
    from envsearch.spec import Parameter

    return Parameter("mass", 1.0, 0.5, 2.0, 0.1, "kg")


def _replay_request() -> Any:
    from orchestration.studies.replay import ReplayRequest
    from orchestration.studies.replay_item import HistorySource

    return ReplayRequest(example(HistorySource), ("random",))


def _agent_tune_request() -> Any:
    from orchestration.studies.replay_item import HistorySource
    from orchestration.studies.tune_agent_request import AgentTuneRequest

    return AgentTuneRequest((example(HistorySource),) * 2, "failure_model", {"cost": (0.0, 0.1)})


EXAMPLES: dict[str, Callable[[], Any]] = {
    "orchestration.studies.replay.ReplayRequest": _replay_request,
    "orchestration.studies.tune_agent_request.AgentTuneRequest": _agent_tune_request,
    "envsearch.spec.Parameter": _parameter,
}
"""Classes that refuse what their type hints alone would give."""


def through_pickle(item: Any) -> Any:
    return pickle.loads(pickle.dumps(item))


DATACLASSES = [
    item for item in classes(is_frozen_dataclass) if f"{item.__module__}.{item.__qualname__}" not in STAYS_AT_HOME
]
EXCEPTIONS = classes(lambda item: issubclass(item, Exception))


def test_every_module_can_be_imported() -> None:
    assert BROKEN == []


def test_there_is_something_to_test() -> None:
    assert len(DATACLASSES) > 20
    assert len(EXCEPTIONS) > 3


@pytest.mark.parametrize("item", DATACLASSES, ids=lambda item: f"{item.__module__}.{item.__qualname__}")
def test_frozen_dataclass_survives_pickling(item: type) -> None:
    before = example(item)
    assert same(before, through_pickle(before))


def exception_example(item: type[Exception]) -> Exception:
    """An exception with a text or number for every argument, as its constructor asks."""
    constructor: Any = item.__init__
    if constructor is Exception.__init__:
        return item("a text")
    hints = typing.get_type_hints(constructor)
    parameters = list(inspect.signature(constructor).parameters.values())[1:]
    if any(parameter.kind is parameter.VAR_POSITIONAL for parameter in parameters):
        return item("a text")
    return item(**{p.name: value(hints.get(p.name, str)) for p in parameters if p.kind is not p.VAR_KEYWORD})


@pytest.mark.parametrize("item", EXCEPTIONS, ids=lambda item: f"{item.__module__}.{item.__qualname__}")
def test_exception_survives_pickling(item: type[Exception]) -> None:
    before = exception_example(item)
    after = through_pickle(before)
    assert type(after) is type(before)
    assert after.args == before.args
    assert str(after) == str(before)
    assert vars(after) == vars(before)


# -- the check itself --


class WordyError(Exception):
    """Hands a text of its own to Exception: unpickling calls it with the wrong arguments."""

    def __init__(self, name: str, count: int) -> None:
        super().__init__(f"{name} {count}")


@dataclasses.dataclass(frozen=True)
class Forgetful:
    """Loses a field on the way."""

    kept: int
    lost: int

    def __reduce__(self) -> Any:
        return (Forgetful, (self.kept, 0))


@dataclasses.dataclass(frozen=True)
class Rich:
    """Every kind of field at once."""

    pairs: tuple[tuple[str, float], ...]
    maybe: int | None
    table: dict[str, list[bool]]
    numbers: np.ndarray[Any, np.dtype[np.float64]]
    function: Callable[[int], int]
    inner: Forgetful | None = None


def test_exception_that_does_not_survive_is_found() -> None:
    with pytest.raises(TypeError):
        through_pickle(exception_example(WordyError))


def test_lost_field_is_found() -> None:
    before = example(Forgetful)
    assert not same(before, through_pickle(before))


def test_examples_are_made_from_hints() -> None:
    made = example(Rich)
    assert made.pairs == (("text", 0.5),)
    assert (made.maybe, made.table, made.function) == (3, {"text": [True]}, a_function)
    assert not same(made, dataclasses.replace(made, numbers=np.ones(3)))
    assert not same(made, dataclasses.replace(made, maybe=None))


def test_errors_of_the_floor_are_seen() -> None:
    assert {"InputError", "ProctorError", "MutationRefusedError"} <= {item.__name__ for item in EXCEPTIONS}
