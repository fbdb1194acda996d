"""Runs the rules over a text and gathers findings.

A rule sees only what model code reaches: the models of the text, and the functions, classes and constants of the text
that they mention, directly or not. A notebook's own code may use clocks and files as it likes.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
import warnings
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from typing import Any

from msq_jupyter.runtime.deterministic.refusals import REFUSED, remedy_for
from msq_jupyter.runtime.deterministic.stand_ins import REPLACED
from msq_jupyter.runtime.lint.classes import Classes, Site, sites_of
from msq_jupyter.runtime.lint.finding import ERROR, Finding
from msq_jupyter.runtime.lint.names import FUNCTIONS, Names
from msq_jupyter.runtime.lint.outside import NOT_IN_MODEL_CODE
from msq_jupyter.runtime.lint.rule import Hit, Rule
from msq_jupyter.runtime.lint.rules import CODES, OWN_CODES, RULES, UNKNOWN_CODE, UNREADABLE

_IGNORE = re.compile(r"#\s*msq:\s*ignore(?:\[(?P<codes>[^\]]*)\])?")


def lint_text(text: str, path: str = "") -> list[Finding]:
    """Lint the models of a text.

    Args:
        text: Python source: a file, a cell, or the cells of a notebook one after the other.
        path: what findings call it.

    Returns:
        The findings in the order of the text; one of code MSQ901 when it is not Python.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        return [unreadable(error, path)]
    return lint_tree(tree, text.splitlines(), path)


def lint_tree(
    tree: ast.Module,
    lines: list[str],
    path: str = "",
    *,
    roots: Collection[ast.AST] | None = None,
    models: Collection[ast.AST] = (),
    live: Mapping[str, Any] | None = None,
) -> list[Finding]:
    """Lint what some definitions of a text reach.

    Args:
        tree: the text, parsed.
        lines: the text.
        path: what findings call it.
        roots: class statements and functions to begin at; None for all models of the text.
        models: class statements that are known to be models.
        live: the namespace in which the text ran, if it did.
    """
    try:
        found = _found(tree, path, roots, models, live)
    except RecursionError as error:
        return [unreadable(error, path)]
    return sorted(_in_characters(finding, lines) for finding in _without_ignored(found, lines, path))


def _found(
    tree: ast.Module,
    path: str,
    roots: Collection[ast.AST] | None,
    models: Collection[ast.AST],
    live: Mapping[str, Any] | None,
) -> list[Finding]:
    names = Names(tree, live)
    classes = Classes(names, models)
    if roots is None:
        kinds = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
        roots = [node for node in kinds if (info := classes.of(node)) and info.is_model and not info.is_view]
    sites = sites_of(roots, names, classes)
    return list({_key(finding): finding for site in sites for finding in _lint_site(site, path)}.values())


def unreadable(error: Exception, path: str) -> Finding:
    """The finding about a text that is not Python."""
    line, column = getattr(error, "lineno", None) or 1, getattr(error, "offset", None) or 1
    if isinstance(error, (RecursionError, MemoryError)):
        message, remedy = "nested too deeply to be looked at", "write it as several statements"
    else:
        message, remedy = f"not Python: {getattr(error, 'msg', None) or error}", "correct the line"
    return Finding(path, line, column, UNREADABLE, "module", OWN_CODES[UNREADABLE], message, remedy)


def _in_characters(finding: Finding, lines: list[str]) -> Finding:
    """Columns of syntax trees count bytes of UTF-8; people count characters."""
    line = lines[finding.line - 1] if finding.line <= len(lines) else ""
    if line.isascii() or finding.code in OWN_CODES:
        return finding
    return replace(finding, column=len(line.encode()[: finding.column - 1].decode(errors="ignore")) + 1)


def _key(finding: Finding) -> tuple[int, int, str]:
    return finding.line, finding.column, finding.code


# --- rules -------------------------------------------------------------------------------------------------------


def _by_node(at_definition: bool) -> dict[type[ast.AST], list[Rule]]:
    table: dict[type[ast.AST], list[Rule]] = {}
    for rule in RULES:
        for kind in rule.nodes if rule.at_definition is at_definition else ():
            table.setdefault(kind, []).append(rule)
    return table


def _by_name(at_definition: bool) -> dict[str, Rule]:
    return {name: rule for rule in RULES if rule.at_definition is at_definition for name in rule.names}


#: The rules for what Python runs when it makes a class, and for what replicas run.
_NODE_RULES = {at_definition: _by_node(at_definition) for at_definition in (True, False)}
_NAME_RULES = {at_definition: _by_name(at_definition) for at_definition in (True, False)}


def _lint_site(site: Site, path: str) -> Iterator[Finding]:
    is_early = _is_early(site)
    node_rules, name_rules = _NODE_RULES[is_early], _NAME_RULES[is_early]
    for node in site.nodes():
        if is_early and isinstance(node, FUNCTIONS):
            continue
        for rule in node_rules.get(type(node), ()):
            for hit in rule.check(node, site) if rule.check else ():
                yield _finding(rule, hit, site, path)
        if isinstance(node, (ast.Name, ast.Attribute)) and isinstance(node.ctx, ast.Load):
            yield from _lint_name(node, site, name_rules, path)


def _lint_name(node: ast.Name | ast.Attribute, site: Site, rules: Mapping[str, Rule], path: str) -> Iterator[Finding]:
    """The finding about the library name that a node mentions."""
    name = site.names.qualified(node)
    if name is None:
        return
    refusal = None if _is_early(site) else refused(name)
    rule = _rule_about(name, node, site, rules, bool(refusal))
    if rule is None:
        return
    for hit in rule.check(node, site) if rule.check else [(node, name)]:
        finding = _finding(rule, hit, site, path)
        # What linking refuses raises; the remedy is the one that the error names.
        yield replace(finding, severity=ERROR, remedy=refusal) if refusal else finding


def _is_early(site: Site) -> bool:
    """Whether Python runs a site when it makes a class, where code is not linked yet."""
    return not site.is_run_by_replicas


def refused(name: str) -> str | None:
    """What to use instead of a library name that linking refuses; None when model code may have it."""
    module, _, member = name.replace("os.path.", "posixpath.", 1).rpartition(".")
    if member in REPLACED.get(module, ()):
        return None
    remedy = remedy_for(module, member)
    return remedy and (remedy.partition("; ")[2] or remedy)


def _rule_about(name: str, node: ast.AST, site: Site, rules: Mapping[str, Rule], is_refused: bool) -> Rule | None:
    """The rule about a library name; when a longer name goes on from it, that one is asked instead."""
    parent = site.names.parents.get(node)
    longer = f"{name}.{parent.attr}" if isinstance(parent, ast.Attribute) else None
    if longer and (longer in rules or (not _is_early(site) and refused(longer))):
        return None
    if name in rules:
        return rules[name]
    module = name.replace("os.path.", "posixpath.", 1).rpartition(".")[0]
    if is_refused:
        return rules.get(f"{module}.*", NOT_IN_MODEL_CODE)
    if longer or (module in REFUSED and not _is_early(site)):
        return None  # kept, or replaced by what is the same everywhere
    while module:
        if f"{module}.*" in rules:
            return rules[f"{module}.*"]
        module = module.rpartition(".")[0]
    return None


def _finding(rule: Rule, hit: Hit, site: Site, path: str) -> Finding:
    node, what = hit
    line, column = getattr(node, "lineno", 1), getattr(node, "col_offset", 0) + 1
    what = what.removeprefix("builtins.")
    message, remedy = rule.message.replace("{what}", what), rule.remedy.replace("{what}", what)
    return Finding(path, line, column, rule.code, site.where, rule.severity, message, remedy)


# --- what the author lets pass -----------------------------------------------------------------------------------


def _without_ignored(findings: Collection[Finding], lines: list[str], path: str) -> list[Finding]:
    """Leave out what a comment on its line lets pass; say which comments name no rule."""
    ignored: dict[int, set[str]] = {}
    complaints: list[Finding] = []
    for line, column, codes in _comments(lines):
        ignored[line] = codes & CODES
        for code in sorted(codes - CODES) or ([] if codes else ["nothing"]):
            message = f"msq: ignore names {code}, which is no rule"
            remedy = "write # msq: ignore[MSQ101]"
            complaints.append(
                Finding(path, line, column, UNKNOWN_CODE, "comment", OWN_CODES[UNKNOWN_CODE], message, remedy)
            )
    return complaints + [finding for finding in findings if finding.code not in ignored.get(finding.line, ())]


def _comments(lines: list[str]) -> Iterator[tuple[int, int, set[str]]]:
    if not any("msq:" in line for line in lines):
        return
    reader = io.StringIO("\n".join(lines) + "\n").readline
    try:
        for token in tokenize.generate_tokens(reader):
            match = _IGNORE.search(token.string) if token.type == tokenize.COMMENT else None
            if match:
                codes = {code.strip() for code in (match["codes"] or "").split(",")} - {""}
                yield token.start[0], token.start[1] + match.start() + 1, codes
    except (tokenize.TokenError, IndentationError):
        return
