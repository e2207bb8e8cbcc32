"""One thing is one file and one line in an explicit table: nothing is left out, discovered or registered on import."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("serve_app", "orchestration", "mutations", "agents", "envsearch")

Predicate = Callable[[ast.stmt], str | None]
"""A statement of a module -> the name of the implementation that it defines, or None."""


def subclass_of(base: str) -> Predicate:
    """Classes that derive from `base` and are not abstract or private."""

    def name(node: ast.stmt) -> str | None:
        if not isinstance(node, ast.ClassDef) or node.name.startswith("_") or is_abstract(node):
            return None
        return node.name if base in {ast.unparse(item).rpartition(".")[2] for item in node.bases} else None

    return name


def with_methods(*methods: str) -> Predicate:
    """Classes that have these methods and are not protocols."""

    def name(node: ast.stmt) -> str | None:
        if not isinstance(node, ast.ClassDef) or node.name.startswith("_") or is_abstract(node):
            return None
        own = {item.name for item in node.body if isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef)}
        return node.name if own.issuperset(methods) else None

    return name


def made_by(function: str) -> Predicate:
    """Module-level names of the values that `function` makes."""

    def name(node: ast.stmt) -> str | None:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            target, value = node.targets[0], node.value
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None:
            target, value = node.target, node.value
        else:
            return None
        return target.id if isinstance(value, ast.Call) and ast.unparse(value.func) == function else None

    return name


def is_abstract(node: ast.ClassDef) -> bool:
    bases = {ast.unparse(base).partition("[")[0].rpartition(".")[2] for base in node.bases}
    if bases & {"Protocol", "ABC"}:
        return True
    return any("abstractmethod" in ast.unparse(d) for f in node.body for d in getattr(f, "decorator_list", []))


@dataclass(frozen=True)
class Rule:
    """Every implementation in `folder` is listed in `table` of the module `registry`."""

    folder: str
    registry: str
    table: str
    implements: Predicate


RULES = (
    Rule("mutations/operators", "mutations/registry.py", "OPERATORS", subclass_of("MutationOperator")),
    Rule("mutations/killing", "mutations/killing/registry.py", "KILL_TESTS", with_methods("judge")),
    Rule("mutations/killing", "mutations/killing/error_control.py", "ERROR_CONTROLS", with_methods("adjust", "levels")),
    Rule("envsearch/environments", "envsearch/registry.py", "ENVIRONMENTS", made_by("EnvironmentDefinition")),
    Rule("agents/deeprl/engines", "agents/deeprl/engines/registry.py", "ENGINES", with_methods("objection", "train")),
    Rule(
        "agents/deeprl/engines/fleet/worlds",
        "agents/deeprl/engines/fleet/worlds/registry.py",
        "WORLDS",
        made_by("World"),
    ),
    Rule("agents/scheduling/kinds", "agents/scheduling/registry.py", "AGENT_KINDS", subclass_of("SchedulingAgent")),
    Rule("agents/scheduling/rewards", "agents/scheduling/registry.py", "REWARDS", subclass_of("Reward")),
    Rule("agents/scheduling/exploration", "agents/scheduling/registry.py", "EXPLORATIONS", subclass_of("Exploration")),
    Rule(
        "orchestration/execution/executors",
        "orchestration/execution/executors/registry.py",
        "EXECUTORS",
        with_methods("run", "close"),
    ),
    Rule(
        "orchestration/campaign/tracking",
        "orchestration/campaign/tracking/registry.py",
        "TRACKERS",
        with_methods("log_campaign"),
    ),
    Rule(
        "orchestration/service/store",
        "orchestration/service/store/registry.py",
        "STORES",
        subclass_of("StateStore"),
    ),
)


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def table_value(tree: ast.Module, table: str) -> ast.expr | None:
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if any(isinstance(target, ast.Name) and target.id == table for target in targets):
            value: ast.expr | None = getattr(node, "value", None)
            return value
    return None


def words(node: ast.AST) -> set[str]:
    """Names, attributes and texts below a node."""
    texts = set()
    for item in ast.walk(node):
        if isinstance(item, ast.Name):
            texts.add(item.id)
        elif isinstance(item, ast.Attribute):
            texts.add(item.attr)
        elif isinstance(item, ast.Constant) and isinstance(item.value, str):
            texts |= {item.value, item.value.rpartition(":")[2].rpartition(".")[2]}
    return texts


def listed(registry: Path, table: str) -> set[str] | None:
    """What a table names, directly or through functions of its own module; None without a literal table."""
    tree = parsed(registry)
    value = table_value(tree, table)
    if not isinstance(value, ast.Dict):
        return None
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    reachable, pending = words(value), [functions[name] for name in words(value) & set(functions)]
    while pending:
        new = words(pending.pop()) - reachable
        reachable |= new
        pending += [functions[name] for name in new & set(functions)]
    return reachable


def unlisted(root: Path, rules: tuple[Rule, ...] = RULES) -> list[str]:
    problems = []
    for rule in rules:
        registry = root / rule.registry
        if not registry.exists():
            continue  # a part that is not built has nothing to list
        known = listed(registry, rule.table)
        if known is None:
            problems.append(f"{rule.registry}: {rule.table} is not a literal table")
            continue
        for path in sorted((root / rule.folder).rglob("*.py")):
            missing = [name for name in map(rule.implements, parsed(path).body) if name and name not in known]
            where = f"{rule.table} of {rule.registry}"
            problems += [f"{path.relative_to(root)}: {name} is not in {where}" for name in missing]
    return problems


TABLES = {rule.table for rule in RULES}
DISCOVERY = {"iter_modules", "walk_packages", "entry_points", "__subclasses__", "__init_subclass__"}
CHANGES = {"update", "setdefault", "pop", "clear", "popitem"}


def hidden_entries(root: Path) -> list[str]:
    """Decorators that register, tables changed after they were written, and discovery."""
    problems = []
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*.py")):
            place = path.relative_to(root)
            problems += [f"{place}:{line}: {text}" for line, text in _hidden_in(parsed(path))]
    return problems


def _hidden_in(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        for decorator in getattr(node, "decorator_list", []):
            called = ast.unparse(decorator.func if isinstance(decorator, ast.Call) else decorator)
            if "register" in called.rpartition(".")[2].lower():
                yield decorator.lineno, f"a decorator that registers ({called})"
        if isinstance(node, ast.Name | ast.Attribute | ast.alias | ast.FunctionDef):
            name = getattr(node, "id", None) or getattr(node, "attr", None) or getattr(node, "name", None)
            if name in DISCOVERY:
                yield getattr(node, "lineno", 0), f"discovery ({name})"
        if isinstance(node, ast.Subscript) and not isinstance(node.ctx, ast.Load) and words(node.value) & TABLES:
            yield node.lineno, f"a table is changed ({ast.unparse(node)})"
        if isinstance(node, ast.AugAssign) and words(node.target) & TABLES:
            yield node.lineno, f"a table is changed ({ast.unparse(node)})"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in CHANGES:
            holder = node.func.value
            if isinstance(holder, ast.Name | ast.Attribute) and words(holder) & TABLES:
                yield node.lineno, f"a table is changed ({ast.unparse(node.func)})"


def test_every_implementation_is_in_its_table() -> None:
    assert unlisted(ROOT) == []


def test_nothing_is_registered_or_discovered() -> None:
    assert hidden_entries(ROOT) == []


@pytest.mark.parametrize("rule", [rule for rule in RULES if (ROOT / rule.registry).exists()], ids=lambda r: r.table)
def test_rule_finds_what_its_folder_holds(rule: Rule) -> None:
    """A rule that sees no implementation at all would never fail."""
    files = list((ROOT / rule.folder).rglob("*.py"))
    names = [name for path in files for name in filter(None, map(rule.implements, parsed(path).body))]
    if len(files) <= 1:
        pytest.skip(f"{rule.folder} is empty so far")
    assert names


SAMPLES = {
    "OPERATORS": ("class Mine(MutationOperator):\n    acronym = 'X'", "{'X': Mine()}"),
    "KILL_TESTS": ("class Mine:\n    def judge(self): ...", "{'mine': Mine()}"),
    "ERROR_CONTROLS": ("class Mine:\n    def adjust(self): ...\n    def levels(self): ...", "{'mine': Mine()}"),
    "ENVIRONMENTS": ("Mine = EnvironmentDefinition('mine')", "{Mine.name: Mine}"),
    "ENGINES": ("class Mine:\n    def objection(self): ...\n    def train(self): ...", "{'mine': ('a.b', 'Mine')}"),
    "WORLDS": ("Mine = World('mine')", "{Mine.name: Mine}"),
    "AGENT_KINDS": ("class Mine(SchedulingAgent): ...", "{'mine': ('a.b', 'Mine')}"),
    "REWARDS": ("class Mine(reward.Reward): ...", "{'mine': 'a.b:Mine'}"),
    "EXPLORATIONS": ("class Mine(Exploration): ...", "{'mine': 'a.b.Mine'}"),
    "EXECUTORS": ("class Mine:\n    def run(self): ...\n    def close(self): ...", "{'mine': _make}"),
    "STORES": ("class Mine(Tables, StateStore): ...", "{'mine': ('a.b', 'Mine')}"),
    "TRACKERS": ("class Mine:\n    def log_campaign(self): ...", "{'mine': ('a.b', 'Mine')}"),
}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.table)
def test_unlisted_implementation_is_found(rule: Rule, tmp_path: Path) -> None:
    source, table = SAMPLES[rule.table]
    (tmp_path / rule.folder).mkdir(parents=True)
    (tmp_path / rule.folder / "mine.py").write_text(source, encoding="utf-8")
    registry = tmp_path / rule.registry
    registry.write_text(f"{rule.table}: dict = {{}}\n", encoding="utf-8")
    assert unlisted(tmp_path, (rule,)) == [f"{rule.folder}/mine.py: Mine is not in {rule.table} of {rule.registry}"]
    registry.write_text(f"{rule.table} = {table}\ndef _make():\n    return Mine()\n", encoding="utf-8")
    assert unlisted(tmp_path, (rule,)) == []
    registry.write_text(f"{rule.table} = discover()\n", encoding="utf-8")
    assert unlisted(tmp_path, (rule,)) == [f"{rule.registry}: {rule.table} is not a literal table"]


@pytest.mark.parametrize(
    "source",
    [
        "@register\nclass A: ...",
        "@registry.register_operator('X')\ndef f(): ...",
        "OPERATORS['X'] = A()",
        "registry.KILL_TESTS['x'] = A()",
        "OPERATORS |= {'X': A()}",
        "OPERATORS.update(X=A())",
        "del OPERATORS['X']",
        "import pkgutil\nlist(pkgutil.iter_modules())",
        "from importlib.metadata import entry_points",
        "MutationOperator.__subclasses__()",
        "class A:\n    def __init_subclass__(cls): ...",
    ],
)
def test_hidden_entry_is_found(source: str, tmp_path: Path) -> None:
    (tmp_path / "mutations").mkdir()
    (tmp_path / "mutations" / "mine.py").write_text(source, encoding="utf-8")
    assert len(hidden_entries(tmp_path)) == 1


def test_abstract_classes_need_no_line(tmp_path: Path) -> None:
    (tmp_path / "mutations" / "killing").mkdir(parents=True)
    (tmp_path / "mutations/killing/registry.py").write_text("KILL_TESTS = {}", encoding="utf-8")
    methods = "    def judge(self): ...\n"
    source = f"class A(Protocol):\n{methods}\nclass B(ABC):\n{methods}\nclass _C:\n{methods}"
    (tmp_path / "mutations/killing/base.py").write_text(source, encoding="utf-8")
    assert unlisted(tmp_path) == []
