"""A notebook of marimo is a Python file that has each cell in a function, and marimo runs it as a part of one module.

Here it becomes that module again, so that what a cell defines has the name and the code that it has when it runs, and a
model is the same one in Jupyter and in marimo.
"""

from __future__ import annotations

import ast

_CELL, _DEFINITION, _SETUP = "cell", ("function", "class_definition"), "setup"


def as_it_runs(tree: ast.Module) -> tuple[ast.Module, list[ast.Module]]:
    """A parsed file as marimo runs it, and each of its cells; any other file as it is, and no cells.

    Statements keep their lines. The tree that is given is changed.
    """
    apps = {
        target.id
        for statement in tree.body
        if isinstance(statement, ast.Assign) and _is_app(statement.value)
        for target in statement.targets
        if isinstance(target, ast.Name)
    }
    if not apps:
        return tree, []
    cells = [cell for statement in tree.body if (cell := _cell(statement, apps))]
    return ast.Module([statement for cell in cells for statement in cell], []), [ast.Module(cell, []) for cell in cells]


def _is_app(value: ast.expr) -> bool:
    """Whether it is `marimo.App(...)`."""
    function = value.func if isinstance(value, ast.Call) else None
    return isinstance(function, ast.Attribute) and ast.unparse(function) == "marimo.App"


def _cell(statement: ast.stmt, apps: set[str]) -> list[ast.stmt]:
    """The statements of a cell, [] for what is none."""
    if isinstance(statement, ast.With):
        return statement.body if _word(statement.items[0].context_expr, apps) == _SETUP else []
    if not isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return []
    words = [_word(decorator, apps) for decorator in statement.decorator_list]
    if _CELL in words:
        # What it returns is for the cells that use it.
        return [inner for inner in statement.body if not isinstance(inner, ast.Return)]
    if any(word in _DEFINITION for word in words):
        pairs = zip(statement.decorator_list, words, strict=True)
        statement.decorator_list = [decorator for decorator, word in pairs if word not in _DEFINITION]
        return [statement]
    return []


def _word(expression: ast.expr, apps: set[str]) -> str:
    """`app.cell` and `app.cell(hide_code=True)` are "cell"; "" when it is nothing of the app's."""
    function = expression.func if isinstance(expression, ast.Call) else expression
    is_ours = isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name) and function.value.id in apps
    return function.attr if is_ours and isinstance(function, ast.Attribute) else ""
