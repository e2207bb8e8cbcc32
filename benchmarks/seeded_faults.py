"""Small faults for Python source: one comparison, constant, sign or connective changed, as a slip of the hand would.

The source is parsed to find the places and edited as text, so that everything else stays byte for byte.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

COMPARISONS: dict[type[ast.cmpop], tuple[bytes, bytes]] = {
    ast.Lt: (b"<", b"<="),
    ast.LtE: (b"<=", b"<"),
    ast.Gt: (b">", b">="),
    ast.GtE: (b">=", b">"),
    ast.Eq: (b"==", b"!="),
    ast.NotEq: (b"!=", b"=="),
    ast.Is: (b" is ", b" is not "),
    ast.IsNot: (b" is not ", b" is "),
    ast.In: (b" in ", b" not in "),
    ast.NotIn: (b" not in ", b" in "),
}
SIGNS: dict[type[ast.operator], tuple[bytes, bytes]] = {
    ast.Add: (b"+", b"-"),
    ast.Sub: (b"-", b"+"),
    ast.Mult: (b"*", b"/"),
    ast.Div: (b"/", b"*"),
}
CONNECTIVES: dict[type[ast.boolop], tuple[bytes, bytes]] = {ast.And: (b" and ", b" or "), ast.Or: (b" or ", b" and ")}


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """One place of a file and what it becomes.

    Attributes:
        start, end: bytes of the file.
        line: from 1.
    """

    start: int
    end: int
    line: int
    old: bytes
    new: bytes

    def applied(self, source: bytes) -> bytes:
        """The file with the fault in it."""
        return source[: self.start] + self.new + source[self.end :]


def faults_of(source: bytes) -> list[Fault]:
    """Every fault that can be put into a file, in the order of the places. Each leaves the file parsable."""
    tree = ast.parse(source)
    lines = _line_starts(source)
    passed_over = set(_not_computed(tree))
    faults = {
        fault
        for node in ast.walk(tree)
        if id(node) not in passed_over
        for fault in _at(node, source, lines)
        if _parses(fault.applied(source))
    }
    return sorted(faults)


def _line_starts(source: bytes) -> list[int]:
    starts = [0]
    for line in source.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    return starts


def _not_computed(tree: ast.Module) -> Iterator[int]:
    """Nodes inside annotations and decorators: nothing, or too much, happens when they are wrong."""
    for node in ast.walk(tree):
        for part in getattr(node, "decorator_list", ()):
            yield from (id(inner) for inner in ast.walk(part))
        for name in ("annotation", "returns"):
            part = getattr(node, name, None)
            if isinstance(part, ast.AST):
                yield from (id(inner) for inner in ast.walk(part))


def _at(node: ast.AST, source: bytes, lines: list[int]) -> Iterator[Fault]:
    if isinstance(node, ast.Compare):
        operands = [node.left, *node.comparators]
        for left, operator, right in zip(operands, node.ops, operands[1:], strict=False):
            yield from _between(left, right, COMPARISONS.get(type(operator)), source, lines)
    elif isinstance(node, ast.BinOp):
        yield from _between(node.left, node.right, SIGNS.get(type(node.op)), source, lines)
    elif isinstance(node, ast.BoolOp):
        yield from _between(node.values[0], node.values[1], CONNECTIVES.get(type(node.op)), source, lines)
    elif isinstance(node, ast.Constant):
        yield from _constant(node, source, lines)


def _between(
    left: ast.expr, right: ast.expr, change: tuple[bytes, bytes] | None, source: bytes, lines: list[int]
) -> Iterator[Fault]:
    """An operator has no place of its own in the tree: it is looked for between its operands."""
    if change is None or left.end_lineno is None or left.end_col_offset is None:
        return
    old, new = change
    first = lines[left.end_lineno - 1] + left.end_col_offset
    last = lines[right.lineno - 1] + right.col_offset
    if source[first:last].count(old) == 1:
        start = first + source[first:last].index(old)
        yield Fault(start, start + len(old), left.end_lineno, old, new)


def _constant(node: ast.Constant, source: bytes, lines: list[int]) -> Iterator[Fault]:
    value = node.value
    if isinstance(value, bool):
        new = str(not value)
    elif isinstance(value, int):
        new = str(value + 1)
    elif isinstance(value, float):
        new = repr(value * 1.5 if value else 1.0)
    else:
        return
    if node.end_lineno is None or node.end_col_offset is None:
        return
    start, end = lines[node.lineno - 1] + node.col_offset, lines[node.end_lineno - 1] + node.end_col_offset
    yield Fault(start, end, node.lineno, source[start:end], new.encode())


def _parses(source: bytes) -> bool:
    try:
        ast.parse(source)
    except SyntaxError:
        return False
    return True
