"""The site is built without a warning and from nothing outside, and says something of everything that users may use."""

from __future__ import annotations

import ast
import os
import posixpath
import re
import subprocess
import sys
from dataclasses import fields
from html.parser import HTMLParser
from typing import Any

import pytest

import msq_jupyter
from msq_jupyter import errors, ready, testing
from msq_jupyter.cli import _parser
from msq_jupyter.jupyter.commands import COMMANDS
from msq_jupyter.runtime.lint.rules import RULES
from msq_jupyter.session.arguments import DEBUG_WORDS
from msq_jupyter.synchronizer.settings import Settings
from msq_jupyter.widgets.session import _FOR_USERS
from tests.docs.pages import ROOT

pytest.importorskip("mkdocs")


class _Reader(HTMLParser):
    """What a page is made of: its anchors, its links, its text in code, and what a browser loads for it."""

    def __init__(self) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: set[str] = set()
        self.loaded: list[str] = []
        self.code: set[str] = set()
        self._in_code = 0

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        values = dict(attrs)
        if values.get("id"):
            self.anchors.add(values["id"])
        if tag == "a" and values.get("href"):
            self.links.add(values["href"])
        if tag in ("script", "img", "iframe") and values.get("src"):
            self.loaded.append(values["src"])
        if tag == "link" and values.get("rel") != "canonical":
            self.loaded.append(values["href"])
        self._in_code += tag == "code"

    def handle_endtag(self, tag: str) -> None:
        self._in_code -= tag == "code"

    def handle_data(self, data: str) -> None:
        if self._in_code:
            self.code.add(data.strip())


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> dict[str, _Reader]:
    """The pages of the site, built anew, by their address."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    pages = {}
    for path in folder.rglob("*.html"):
        reader = _Reader()
        reader.feed(path.read_text(encoding="utf-8"))
        pages[path.relative_to(folder).as_posix()] = reader
    return pages


def test_a_page_loads_nothing_from_elsewhere(site):
    assert len(site) > 20
    for address, page in site.items():
        assert not [url for url in page.loaded if re.match(r"(\w+:)?//", url)], address


def test_every_link_within_the_site_leads_somewhere(site):
    for address, page in site.items():
        if address == "404.html":  # is shown at any address, so its links begin at the root
            continue
        for link in page.links:
            if re.match(r"(\w+:)?//|\w+:", link):
                continue
            path, _, anchor = link.partition("#")
            target = posixpath.normpath(posixpath.join(posixpath.dirname(address), path)) if path else address
            target = "index.html" if target == "." else target
            assert target in site, f"{address}: {link}"
            assert not anchor or anchor in site[target].anchors, f"{address}: {link}"


def test_what_may_be_raised_leads_to_what_to_do_then(site):
    links = site["reference/session.html"].links
    assert "../troubleshooting.html#msq_jupyter.errors.WrongPassword" in links
    assert not [link for link in links if link.endswith("MsqError")]


def _names(module: Any) -> list[str]:
    return [f"{module.__name__}.{name}" for name in module.__all__]


@pytest.mark.parametrize("name", [*_names(msq_jupyter), *_names(ready), *_names(testing)])
def test_every_public_name_is_documented(site, name):
    assert any(name in page.anchors for page in site.values())


@pytest.mark.parametrize("name", sorted(_FOR_USERS))
def test_every_word_of_a_session_is_documented(site, name):
    page = site["reference/session.html"]
    assert f"msq_jupyter.Session.{name}" in page.anchors or name in page.code


def test_every_command_and_magic_is_documented(site, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    from generated import commands_of

    for address, names in (
        ("reference/commands.html", [f"msq-{name.replace(' ', '-')}" for name, _ in commands_of(_parser())]),
        ("reference/magics.html", [f"msq-{name}" for name in COMMANDS]),
    ):
        assert set(names) <= site[address].anchors


def test_every_rule_of_the_lint_is_documented(site):
    assert {rule.code.lower() for rule in RULES} <= site["lint.html"].anchors


def test_every_setting_is_documented(site):
    code = site["reference/settings.html"].code
    named = {
        node.value
        for path in (ROOT / "msq_jupyter").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and re.fullmatch(r"MSQ_[A-Z_]+", node.value)
    }
    assert len(named) >= 3
    assert named <= code
    assert {"c.Msq.synchronizer"} <= code
    assert set(DEBUG_WORDS) <= code
    assert {setting.name for setting in fields(Settings)} <= site["deploy.html"].code


def test_every_error_is_in_the_troubleshooting_with_what_to_do(site):
    kinds = {
        name
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, errors.MsqError) and kind is not errors.MsqError
    }
    assert {f"msq_jupyter.errors.{kind}" for kind in kinds} <= site["troubleshooting.html"].anchors


def test_links_of_the_readme_lead_somewhere():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#]+)", readme):
        assert (ROOT / target).exists(), target


def test_what_make_docs_needs_is_in_an_extra():
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    extra = re.search(r"^docs = \[(.*?)\]$", text, re.MULTILINE | re.DOTALL)
    assert extra is not None
    assert {"mkdocs", "mkdocs-material", "mkdocstrings[python]"} == set(re.findall(r'"([^">]+)>=', extra[1]))
