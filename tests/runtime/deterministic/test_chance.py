"""`random` and `uuid` of model code: the session's stream, and nothing that is kept between calls."""

from __future__ import annotations

import random
import statistics
import sys
import uuid

import pytest

from msq_jupyter.errors import DeterminismError, OutsideModelError
from msq_jupyter.runtime.deterministic import OrderedSet, substitute_for
from msq_jupyter.runtime.deterministic.chance import RANDOM
from tests.runtime.deterministic.running import running

ours = substitute_for(random)

CALLS = {
    "random": (),
    "uniform": (1, 3),
    "triangular": (0, 10, 2),
    "randrange": (0, 100, 7),
    "randint": (1, 6),
    "getrandbits": (70,),
    "randbytes": (5,),
    "choice": ("abc",),
    "choices": ("abc", [1, 5, 1]),
    "sample": (range(100), 5),
    "gauss": (0, 1),
    "normalvariate": (10, 2),
    "lognormvariate": (0, 0.5),
    "expovariate": (2,),
    "gammavariate": (0.5, 2),
    "betavariate": (2, 3),
    "paretovariate": (3,),
    "weibullvariate": (1, 2),
}

GOLDEN = {
    "random": 0.4210176020121017,
    "uniform": 1.8420352040242034,
    "triangular": 3.194223641712001,
    "randrange": 42,
    "randint": 4,
    "getrandbits": 497049853110025285309,
    "randbytes": b"\xae?\xcf\xc7k",
    "choice": "b",
    "choices": ["b"],
    "sample": [53, 35, 23, 96, 52],
    "gauss": -0.0974098328918342,
    "normalvariate": 9.805180334216331,
    "lognormvariate": 0.9524621441497194,
    "expovariate": 0.27324160129150005,
    "gammavariate": 0.3479773335803889,
    "betavariate": 0.49104307788073887,
    "paretovariate": 1.1998074283337106,
    "weibullvariate": 0.7392450220211159,
}


def test_every_function_has_a_golden_value():
    assert set(CALLS) == set(GOLDEN) == set(RANDOM) - {"shuffle"}


@pytest.mark.parametrize("name", CALLS)
def test_6_1_the_numbers_are_fixed_for_ever(name):
    with running():
        assert getattr(ours, name)(*CALLS[name]) == GOLDEN[name]


@pytest.mark.parametrize("name", CALLS)
def test_6_1_nothing_is_kept_but_the_state_of_the_stream(name):
    with running() as replica:
        getattr(ours, name)(*CALLS[name])
        state = replica.random.state
        first = getattr(ours, name)(*CALLS[name])
        replica.random.state = state
        assert getattr(ours, name)(*CALLS[name]) == first


def test_6_1_the_stream_is_that_of_the_model():
    with running() as replica:
        state = replica.random.state
        drawn = ours.random()
        replica.random.state = state
        assert replica.random.random() == drawn
        assert substitute_for(random.random) is ours.random


def test_6_1_ranges_and_kinds():
    with running():
        for _ in range(300):
            assert 1 <= ours.randint(1, 6) <= 6
            assert ours.randrange(10) in range(10)
            assert ours.randrange(10, 0, -3) in (10, 7, 4, 1)
            assert 0 <= ours.getrandbits(3) < 8
            assert 1.0 <= ours.uniform(1, 2) <= 2.0
            assert 2.0 <= ours.triangular(2, 4) <= 4.0
            assert 0.0 <= ours.betavariate(0.5, 0.5) <= 1.0
            assert ours.choices("ab", cum_weights=[0, 1]) == ["b"]
        assert ours.getrandbits(0) == 0
        assert len(ours.randbytes(7)) == 7
        drawn = ours.sample(range(1000), 1000)
        assert sorted(drawn) == list(range(1000))
        assert sorted(ours.sample("ab", 3, counts=[2, 1])) == ["a", "a", "b"]
        items = list(range(50))
        ours.shuffle(items)
        assert items != list(range(50))
        assert sorted(items) == list(range(50))


@pytest.mark.parametrize(
    ("name", "given", "mean", "stdev"),
    [
        ("random", (), 0.5, 0.2887),
        ("triangular", (0, 6, 0), 2.0, 1.414),
        ("gauss", (10, 2), 10.0, 2.0),
        ("expovariate", (0.5,), 2.0, 2.0),
        ("gammavariate", (3, 2), 6.0, 3.464),
        ("gammavariate", (0.5, 1), 0.5, 0.7071),
        ("betavariate", (2, 3), 0.4, 0.2),
        ("lognormvariate", (0, 0.25), 1.0317, 0.2620),
        ("paretovariate", (5,), 1.25, 0.3227),
        ("weibullvariate", (1, 2), 0.8862, 0.4633),
    ],
)
def test_6_1_distributions_have_their_means_and_spreads(name, given, mean, stdev):
    with running():
        drawn = [getattr(ours, name)(*given) for _ in range(4000)]
    assert statistics.mean(drawn) == pytest.approx(mean, rel=0.06)
    assert statistics.stdev(drawn) == pytest.approx(stdev, rel=0.12)


def test_6_1_wrong_arguments_raise_what_random_raises():
    wrong = [
        ("randrange", (5, 5), ValueError),
        ("randint", (2, 1), ValueError),
        ("choice", ([],), IndexError),
        ("choices", ("ab", [1]), ValueError),
        ("choices", ("ab", [0, 0]), ValueError),
        ("choices", ([],), IndexError),
        ("sample", ("ab", 3), ValueError),
        ("sample", ("ab", -1), ValueError),
        ("sample", ({1, 2}, 1), TypeError),
        ("sample", (OrderedSet([1, 2]), 1), TypeError),
        ("getrandbits", (-1,), ValueError),
        ("gammavariate", (0, 1), ValueError),
        ("randrange", (1.5,), TypeError),
    ]
    with running():
        for name, given, error in wrong:
            with pytest.raises(error):
                getattr(ours, name)(*given)
            lenient = sys.version_info < (3, 11) and given in [({1, 2}, 1), (OrderedSet([1, 2]), 1)]
            if (name, given) != ("randrange", (1.5,)) and not lenient:  # a warning up to Python 3.11
                with pytest.raises(error):
                    getattr(random.Random(1), name)(*given)


def test_6_1_uuids_come_from_the_stream():
    with running():
        made = substitute_for(uuid).uuid4()
    assert str(made) == "6bc7cf3f-aeac-45ba-b44f-d5ad63a40087"
    assert type(made) is uuid.UUID
    assert made.version == 4
    assert substitute_for(uuid.uuid5) is uuid.uuid5


@pytest.mark.parametrize("name", ["random", "randint", "gauss"])
def test_6_1_outside_of_models_there_is_no_stream(name):
    with pytest.raises(OutsideModelError, match="in a cell or a view import random itself"):
        getattr(ours, name)(*CALLS[name])


@pytest.mark.parametrize("name", ["seed", "getstate", "setstate", "Random", "SystemRandom"])
def test_6_1_other_streams_are_refused(name):
    message = rf"^random.{name} is not available in model code: .* use self.random\(\)$"
    with pytest.raises(DeterminismError, match=message):
        getattr(ours, name)(1)
    with pytest.raises(DeterminismError, match=message):
        substitute_for(getattr(random, name))()
