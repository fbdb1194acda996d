"""The random stream: golden numbers that may never change, and fair use of them."""

from __future__ import annotations

from collections import Counter

import pytest

from msq_jupyter.errors import ArgumentError
from msq_jupyter.runtime.prng import RandomStream

#: Written down when the stream was made. Whoever changes them breaks every stored session.
GOLDEN_WORDS = [7766403954844145082, 17604524409092309127, 5037955939495560934, 3124829264553388834]
GOLDEN_SECOND_SEED = 16432794833190253781
GOLDEN = {
    "random": [0.3142170599723335, 0.2768518374154889, 0.9030258996452999],
    "shuffle": [9, 0, 8, 2, 7, 3, 5, 1, 4, 6],
    "random_int": [1, 3, 17923482369717757582, 5, 882004965467472442888824392379],
    "choice": ["g", "d", "c", "e", "a"],
    "generate_id": "Uiya9nF812jhiPGV6JS95Q",
    "state": "c9353a1e5702cf84296d4413c3c52759e6bd02b6fa25989409edfc0d51186ed4",
}


def test_3_4_the_stream_is_fixed_for_ever():
    stream = RandomStream("session")
    assert [stream.next_word() for _ in range(4)] == GOLDEN_WORDS
    assert RandomStream("another session ä").next_word() == GOLDEN_SECOND_SEED


def test_3_4_what_is_made_of_the_stream_is_fixed_for_ever():
    stream = RandomStream("session")
    cards = list(range(10))
    stream.shuffle(cards)
    assert {
        "random": [stream.random() for _ in range(3)],
        "shuffle": cards,
        "random_int": [
            stream.random_int(low, high) for low, high in [(1, 6), (-3, 3), (0, 2**64), (5, 5), (0, 2**100)]
        ],
        "choice": [stream.choice("abcdefg") for _ in range(5)],
        "generate_id": stream.generate_id(),
        "state": stream.state.hex(),
    } == GOLDEN


def test_the_algorithm_is_xoshiro256_plus_plus():
    """The authors' reference: state 1, 2, 3, 4 gives 41943041, 58720359, 3588806011781223, ..."""
    stream = RandomStream("")
    stream.state = b"".join(word.to_bytes(8, "big") for word in (1, 2, 3, 4))
    assert [stream.next_word() for _ in range(5)] == [
        41943041,
        58720359,
        3588806011781223,
        3591011842654386,
        9228616714210784205,
    ]


def test_3_4_the_state_resumes_the_stream():
    stream = RandomStream("x")
    stream.random()
    other = RandomStream("y")
    other.state = stream.state
    assert [stream.random() for _ in range(5)] == [other.random() for _ in range(5)]


def test_random_is_in_the_half_open_unit_interval():
    stream = RandomStream("unit")
    values = [stream.random() for _ in range(2000)]
    assert all(0 <= value < 1 for value in values)
    assert 0.45 < sum(values) / len(values) < 0.55


@pytest.mark.parametrize(("low", "high"), [(0, 0), (1, 6), (-3, 3), (0, 2**64), (0, 2**200), (10**30, 10**30 + 2)])
def test_random_int_stays_within_its_bounds(low, high):
    stream = RandomStream(f"{low} {high}")
    assert all(low <= stream.random_int(low, high) <= high for _ in range(200))


def test_random_int_reaches_every_value_about_equally_often():
    stream = RandomStream("dice")
    counts = Counter(stream.random_int(1, 6) for _ in range(6000))
    assert set(counts) == set(range(1, 7))
    assert min(counts.values()) > 850


def test_shuffle_keeps_all_items_and_choice_takes_one():
    stream = RandomStream("cards")
    cards = list(range(52))
    stream.shuffle(cards)
    assert sorted(cards) == list(range(52)) != cards
    assert stream.choice(cards) in cards


def test_ids_do_not_repeat():
    stream = RandomStream("ids")
    names = {stream.generate_id() for _ in range(1000)}
    assert len(names) == 1000
    assert {len(name) for name in names} == {22}


def test_mistakes_are_named():
    stream = RandomStream("x")
    with pytest.raises(ArgumentError, match="expected low <= high, got 2 and 1"):
        stream.random_int(2, 1)
    with pytest.raises(ArgumentError, match="at least one item"):
        stream.choice([])
