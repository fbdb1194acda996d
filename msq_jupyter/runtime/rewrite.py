"""Model code with calls in place of what no name can stand in for: set displays, powers, set algebra on dict views.

`{a, b}` makes a built-in set whatever the name `set` means, `x ** y` asks the platform's math library, and
`d.keys() | e` is a built-in set again. In linked code each of them is a call of a name that the linker provides. Lines
stay where they are, so tracebacks and debuggers show the author's own text.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator
from types import CodeType
from typing import Any, cast

from msq_jupyter.runtime.sources import FAR_LINE, FUTURE_FLAGS, SourceText, codes_in, compile_tree

#: What rewritten code calls. Two underscores at each end, so that no class mangles them.
SET_DISPLAY, VIEW_SET = "__msq_set_display__", "__msq_view_set__"
POWER, POWER_IN_PLACE = "__msq_power__", "__msq_power_in_place__"

_VIEW_OPERATORS: dict[type[ast.operator], str] = {ast.BitOr: "|", ast.BitAnd: "&", ast.Sub: "-", ast.BitXor: "^"}


class Rewriter:
    """Compiles rewritten functions; each text is rewritten once."""

    def __init__(self) -> None:
        self._codes: dict[tuple[SourceText, str, int], dict[tuple[str, int], list[CodeType]]] = {}

    def code(self, text: SourceText, node: ast.AST, code: CodeType) -> CodeType:
        """The code of a function with its calls in place, or `code` itself when there is nothing to rewrite.

        Args:
            text: the text that the function stands in.
            node: the function in it.
            code: what it compiles to as it stands.
        """
        if not any(_is_rewritten(inner) for inner in ast.walk(node)):
            return code
        flags = code.co_flags & FUTURE_FLAGS
        key = (text, code.co_filename, flags)
        if key not in self._codes:
            places: dict[tuple[str, int], list[CodeType]] = {}
            tree = _Calls().visit(copy.deepcopy(text.tree))
            for compiled in codes_in(compile_tree(tree, flags, code.co_filename)):
                places.setdefault((compiled.co_name, compiled.co_firstlineno), []).append(compiled)
            self._codes[key] = places
        candidates = self._codes[key][code.co_name, code.co_firstlineno]
        return candidates[0] if len(candidates) == 1 else _code_alone(text, node, code, flags)


def _code_alone(text: SourceText, node: ast.AST, code: CodeType, flags: int) -> CodeType:
    """The code of one of several functions on one line: it is compiled on a line of its own, and put back."""
    place = next(place for place, found in enumerate(ast.walk(text.tree)) if found is node)
    tree = copy.deepcopy(text.tree)
    ast.increment_lineno(next(found for n, found in enumerate(ast.walk(tree)) if n == place), FAR_LINE)
    there = (code.co_name, code.co_firstlineno + FAR_LINE)
    for compiled in codes_in(compile_tree(_Calls().visit(tree), flags, code.co_filename)):
        if (compiled.co_name, compiled.co_firstlineno) == there:
            return _moved(compiled, -FAR_LINE)
    raise AssertionError(f"{code.co_name} is not where it was put")


def _moved(code: CodeType, lines: int) -> CodeType:
    constants = tuple(_moved(c, lines) if isinstance(c, CodeType) else c for c in code.co_consts)
    return code.replace(co_firstlineno=code.co_firstlineno + lines, co_consts=constants)


def _is_rewritten(node: ast.AST) -> bool:
    if isinstance(node, (ast.BinOp, ast.AugAssign)):
        return isinstance(node.op, ast.Pow) or (isinstance(node, ast.BinOp) and _is_view_set(node))
    return isinstance(node, (ast.Set, ast.SetComp))


def _is_view_set(node: ast.BinOp) -> bool:
    return type(node.op) in _VIEW_OPERATORS and (_is_view(node.left) or _is_view(node.right))


def _is_view(node: ast.expr) -> bool:
    """Whether an expression is written `….keys()` or `….items()`."""
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in ("keys", "items")
        and not (node.args or node.keywords)
    )


class _Calls(ast.NodeTransformer):
    """Puts the calls in place."""

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        node.left = self.visit(node.left)
        for place, (operator, right) in enumerate(zip(node.ops, node.comparators, strict=True)):
            if isinstance(operator, (ast.In, ast.NotIn)) and isinstance(right, ast.Set):
                # Membership asks for no order, and the compiler makes a constant of it.
                right.elts = [self.visit(element) for element in right.elts]
            else:
                node.comparators[place] = self.visit(right)
        return node

    def visit_Set(self, node: ast.Set) -> ast.AST:
        self.generic_visit(node)
        return _call(node, SET_DISPLAY, ast.Tuple(node.elts, ast.Load()))

    def visit_SetComp(self, node: ast.SetComp) -> ast.AST:
        self.generic_visit(node)
        return _call(node, SET_DISPLAY, ast.GeneratorExp(node.elt, node.generators))

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        is_view_set = _is_view_set(node)
        self.generic_visit(node)
        if isinstance(node.op, ast.Pow):
            return _call(node, POWER, node.left, node.right)
        if is_view_set:
            return _call(node, VIEW_SET, node.left, ast.Constant(_VIEW_OPERATORS[type(node.op)]), node.right)
        return node

    def visit_AugAssign(self, node: ast.AugAssign) -> ast.AST | list[ast.AST]:
        self.generic_visit(node)
        if not isinstance(node.op, ast.Pow):
            return node
        # What the target is an attribute or item of is evaluated once, as it is by `**=`.
        before, target = _held(node.target)
        read = copy.deepcopy(target)
        cast(Any, read).ctx = ast.Load()
        assign = ast.Assign([target], _call(node, POWER_IN_PLACE, read, node.value))
        return [_located(statement, node) for statement in (*before, assign)]


def _held(target: ast.expr) -> tuple[list[ast.stmt], ast.expr]:
    """Statements that keep the parts of a target in names, and the target made of these names."""
    if isinstance(target, ast.Attribute):
        return [_keep("__msq_owner__", target.value)], ast.Attribute(_name("__msq_owner__"), target.attr, ast.Store())
    if isinstance(target, ast.Subscript) and any(isinstance(part, ast.Slice) for part in ast.walk(target.slice)):
        # A slice is no value; what it is made of is evaluated twice.
        return [_keep("__msq_owner__", target.value)], ast.Subscript(_name("__msq_owner__"), target.slice, ast.Store())
    if isinstance(target, ast.Subscript):
        before = [_keep("__msq_owner__", target.value), _keep("__msq_index__", target.slice)]
        return before, ast.Subscript(_name("__msq_owner__"), _name("__msq_index__"), ast.Store())
    return [], target


def _keep(name: str, value: ast.expr) -> ast.stmt:
    return ast.Assign([ast.Name(name, ast.Store())], value)


def _name(name: str) -> ast.expr:
    return ast.Name(name, ast.Load())


def _call(where: ast.AST, name: str, *arguments: ast.expr) -> ast.expr:
    return cast(ast.expr, _located(ast.Call(_name(name), list(arguments), []), where))


def _located(node: ast.AST, where: ast.AST) -> ast.AST:
    """Give new nodes the place of what they stand for; nodes of the author keep theirs."""
    for inner in _new_nodes(node):
        ast.copy_location(inner, where)
    return node


def _new_nodes(node: ast.AST) -> Iterator[ast.AST]:
    if "lineno" in node._attributes and not hasattr(node, "lineno"):
        yield node
    for child in ast.iter_child_nodes(node):
        yield from _new_nodes(child)
