"""Rule 6.1: decimals in models are computed alike, whatever the notebook has set."""

from __future__ import annotations

import decimal
from collections.abc import Iterator
from decimal import Decimal

import pytest

from tests.runtime.bench import Bench
from tests.runtime.board import Board, Part, do


@pytest.fixture(autouse=True)
def notebook() -> Iterator[decimal.Context]:
    """A cell that computes with three digits, and lets nothing inexact pass."""
    with decimal.localcontext() as context:
        context.prec = 3
        context.rounding = decimal.ROUND_UP
        context.traps[decimal.DivisionByZero] = False
        yield context


@pytest.fixture
def bench(teach) -> Bench:
    teach(Board, third=lambda self: self.note(Decimal(1) / 3), init=init)
    return Bench(Board, Part)


whole_init = Board.init
THIRD = Decimal("0." + "3" * 28)


def init(self, options, persisted=None):
    whole_init(self, options, persisted)
    self.level = Decimal(2) / 3
    self.subscribe(self.session_id, "view-join", "third")


def test_6_1_models_compute_with_28_digits_everywhere(bench, teach, notebook):
    teach(Board, third=lambda self, *_: self.note(Decimal(1) / 3))
    assert bench.root.level == Decimal("0." + "6" * 27 + "7")
    do(bench, ["third"])
    teach(Board, start=lambda self: self.future(5).third())
    do(bench, ["start"])
    bench.advance(10)
    bench.members(joins={"ada": None})
    assert [entry[1] for entry in bench.root.log if entry[0] != "came"] == [THIRD] * 3
    assert decimal.getcontext() is notebook
    assert Decimal(1) / 3 == Decimal("0.334")


def test_6_1_the_notebooks_context_comes_back_after_an_error_and_an_interrupt(bench, teach, notebook):
    def hang(self):
        raise KeyboardInterrupt

    teach(Board, hang=hang)
    do(bench, ["fail", "oops"])
    with pytest.raises(KeyboardInterrupt):
        do(bench, ["hang"])
    assert decimal.getcontext() is notebook


def test_6_1_the_usual_traps_are_set(bench, teach):
    teach(Board, divide=lambda self: Decimal(1) / 0)
    do(bench, ["divide"])
    assert "DivisionByZero" in bench.failures()[0]


@pytest.mark.parametrize(
    "change",
    [
        lambda context: setattr(context, "prec", 50),
        lambda context: setattr(context, "rounding", decimal.ROUND_DOWN),
        lambda context: context.clear_traps(),
        lambda context: context.clear_flags(),
        lambda context: context.traps.__setitem__(decimal.Inexact, True),
        lambda context: context.flags.__setitem__(decimal.Inexact, True),
    ],
)
def test_6_1_a_model_cannot_change_the_context_and_reads_how_else(bench, teach, change):
    teach(Board, change=lambda self: change(decimal.getcontext()))
    do(bench, ["change"])
    assert bench.failures()
    do(bench, ["third"])
    assert bench.root.log == [[2, THIRD]]


def test_6_1_the_error_shows_the_right_lines(bench, teach):
    teach(Board, change=lambda self: setattr(decimal.getcontext(), "prec", 50))
    do(bench, ["change"])
    assert (
        "write `with decimal.localcontext() as context:` and set context.prec and the like there" in bench.failures()[0]
    )


def test_6_1_a_context_of_its_own_is_a_models_to_set(bench, teach):
    def precise(self):
        with decimal.localcontext() as context:
            context.prec = 4
            self.note(Decimal(1) / 3)
        self.note(Decimal(1) / 3)

    teach(Board, precise=precise)
    do(bench, ["precise"])
    assert bench.root.log == [[1, Decimal("0.3333")], [1, THIRD]]


def test_6_1_a_context_that_a_model_leaves_behind_ends_with_its_message(bench, teach):
    """Else it would hold for as many messages as run in one portion, and for none after a restore."""
    teach(Board, leave=lambda self: decimal.setcontext(decimal.Context(prec=5)))
    teach(Board, start=lambda self: (self.future(1).leave(), self.future(2).third()))
    do(bench, ["start"], ["leave"])
    twin = bench.twin()
    twin.advance(2.0)
    middle = bench.new_replica()
    middle.restore(twin.snapshot())
    middle.advance(10)
    bench.advance(9)
    assert bench.root.log == middle.root.log == [[3, THIRD]]


def test_6_1_no_flag_tells_what_was_computed_before(bench, teach):
    teach(Board, flag=lambda self: self.note(decimal.getcontext().flags[decimal.Inexact]))
    do(bench, ["third"], ["flag"])
    assert bench.root.log[-1] == [1, False]


def test_6_1_a_view_that_hears_at_once_has_the_notebooks_context(bench, notebook):
    seen = []
    bench.replica.view_events.subscribe(
        "view", "x", "y", lambda _: seen.append((decimal.getcontext() is notebook, Decimal(1) / 3)), "immediate"
    )
    do(bench, ["tell", "x", "y", 1], ["third"])
    assert seen == [(True, Decimal("0.334"))]
    assert bench.root.log == [[1, THIRD]]
