"""What the doctor says of a set-up: the checks by themselves, and the facts of this one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from msq_jupyter.cli import main
from msq_jupyter.session.doctor import LOWEST, Facts, diagnose, gather
from tests.conftest import SynchronizerThread

GOOD = Facts(
    (3, 12),
    {**LOWEST, "ipykernel": "7.4.0"},
    widget_manager=True,
    in_notebook=True,
    synchronizer="wss://sync",
    latency_ms=12.0,
    clock_offset_s=1.0,
)


def test_a_good_set_up_has_nothing_wrong():
    diagnosis = diagnose(GOOD)
    assert diagnosis.ok
    assert "✓ wss://sync answers after 12.0 ms" in repr(diagnosis)


@pytest.mark.parametrize(
    ("change", "what", "remedy"),
    [
        ({"python": (3, 9)}, "✗ Python 3.9 is too old", "use a kernel with Python 3.10"),
        ({"versions": {**LOWEST, "ipykernel": "7.0.1"}}, "✗ ipykernel 7.0 loses what other threads", "ipykernel>=7.1"),
        (
            {"versions": {**LOWEST, "websockets": "14.2"}},
            "✗ websockets is 14.2, and 15 is the lowest",
            "websockets>=15",
        ),
        (
            {"versions": {n: v for n, v in LOWEST.items() if n != "anywidget"}},
            "✗ anywidget is not installed",
            "%pip install 'anywidget>=0.9.21'",
        ),
        ({"widget_manager": False}, "! the browser side of ipywidgets is not installed", "jupyterlab_widgets"),
        ({"unreachable": "start one"}, "✗ wss://sync does not answer", "start one"),
        ({"latency_ms": 400.0}, "! wss://sync answers after 400 ms", "nearer"),
        ({"clock_offset_s": 90.0}, "! this machine's clock is 90 s behind the synchronizer's", "set its clock"),
        ({"clock_offset_s": -90.0}, "! this machine's clock is 90 s ahead of the synchronizer's", "set its clock"),
        ({"others": {"room": ["Ben", "Cy"]}}, "! room: Ben, Cy run other code", 'session.explain_code("Ben")'),
    ],
)
def test_each_thing_that_is_wrong_is_said_with_what_to_do(change, what, remedy):
    diagnosis = diagnose(replace(GOOD, **change))
    assert not diagnosis.ok
    assert repr(diagnosis).startswith(what)  # what is wrong stands first
    assert remedy in repr(diagnosis)
    assert remedy.replace("'", "&#x27;").replace('"', "&quot;").replace(">", "&gt;") in diagnosis._repr_html_()


async def test_the_facts_of_this_set_up(synchronizer: SynchronizerThread):
    facts = await gather(synchronizer.url)
    assert facts.unreachable == ""
    assert facts.latency_ms > 0
    assert abs(facts.clock_offset_s) < 5
    assert facts.versions["msq_jupyter"]


async def test_a_synchronizer_that_does_not_answer_is_a_finding_and_no_error():
    facts = await gather("ws://127.0.0.1:9")
    assert 'start one with "msq serve"' in facts.unreachable


def test_the_command_says_the_same(synchronizer: SynchronizerThread, capsys):
    assert main(["doctor", "--synchronizer", synchronizer.url]) == 0
    assert f"{synchronizer.url} answers after" in capsys.readouterr().out
    assert main(["doctor", "--synchronizer", "ws://127.0.0.1:9"]) == 1
    assert capsys.readouterr().out.startswith("✗ ws://127.0.0.1:9 does not answer")
