"""Links into nested data, one way, through transforms, for each participant; and observers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import anywidget
import pytest
import traitlets
from ipywidgets import FloatText, IntSlider, Label, Text

from msq_jupyter import Session
from msq_jupyter.errors import ArgumentError, AuthorError, SessionClosed
from msq_jupyter.session.cells import Cells, enter
from msq_jupyter.widgets.observers import Change
from tests.conftest import SynchronizerThread
from tests.objects import grown, kinds
from tests.waiting import until
from tests.widgets.models import EditedStudio, Studio


@pytest.fixture
async def join(synchronizer: SynchronizerThread) -> AsyncIterator[Callable[..., Any]]:
    async with AsyncExitStack() as stack:

        async def join(name: str = "ada", model: type = Studio, **arguments: Any) -> Session:
            given = {"app_id": "test", "name": "paths", "synchronizer": synchronizer.url}
            joined = await Session.join(model=model, view_data={"name": name}, **given, **arguments)
            return await stack.enter_async_context(joined)

        yield join


class Thing(traitlets.HasTraits):
    value = traitlets.Any()


class Dial(anywidget.AnyWidget):
    _esm = "export default {render({el}) {}}"
    angle = traitlets.Int(0).tag(sync=True)


# --- paths -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "before", "after"),
    [
        ("settings.speed", 1, 2),
        ("settings.deep.x", 0, 5),
        ("settings.7", "seven", "VII"),
        ("pen.width", 1, 9),
        ("part.level", 3, 4),
        ("votes.yes", 0, 1),
    ],
)
async def test_a_link_leads_into_what_an_attribute_holds(join, path, before, after):
    ada, ben = await join(), await join("ben")
    ours, theirs = Thing(), Thing()
    ada.link((ours, "value"), path)
    ben.link((theirs, "value"), path)
    assert (ours.value, theirs.value) == (before, before)
    ours.value = after
    await until(lambda: theirs.value == after)
    assert ada._sent_counter == 1
    assert ben._sent_counter == 0
    assert ada.model.settings.keys() == {"speed", "deep", 7}


async def test_two_keys_of_one_dict_never_meet(join):
    ada, ben = await join(), await join("ben")
    one, two = Thing(), Thing()
    ada.link((one, "value"), "votes.yes")
    ben.link((two, "value"), "votes.no")
    one.value, two.value = 10, 20
    await until(lambda: ada.model.votes == ben.model.votes == {"yes": 10, "no": 20})


async def test_what_is_set_into_something_gone_is_dropped_for_all(join):
    ada, ben = await join(), await join("ben")
    thing = Thing()
    ada.link((thing, "value"), "settings.deep.x")
    ben.publish("studio", "forget", "deep")
    thing.value = 9  # both are on their way at the same moment
    for person in (ada, ben):
        await person.synced()
    await until(lambda: "deep" not in ada.model.settings and "deep" not in ben.model.settings)
    assert thing.value == 9


async def test_the_model_hears_of_a_change_by_a_link_at_the_nearest_model(join):
    ada = await join()
    ada.assign("settings.speed", 3)
    ada.assign("part.level", 8)
    await ada.synced()
    assert ada.model.heard == ["settings.speed"]
    assert ada.model.part.heard == ["part.level"]


@pytest.mark.parametrize(
    ("path", "error", "message"),
    [
        ("settings.sped.x", AuthorError, r"settings\.sped\.x: Studio\.settings has no 'sped': did you mean 'speed'\?"),
        ("queue.0", AuthorError, r"Studio\.queue is a list, and a place in it is another item's.*dict by an id"),
        ("speed.x", AuthorError, "nothing can be set in Studio.speed, a int: link speed"),
        ("pen.size", AuthorError, "nothing can be set in Studio.pen"),
        ("part.link_changed", AuthorError, "belongs to the model itself"),
        ("part._level", AuthorError, "belongs to the model itself"),
        ("notes.text", AuthorError, r"SharedText\.text can only be read"),
        ("notes", AuthorError, "notes is a SharedText, a model of its own, which a widget's value would replace"),
        ("vote", AuthorError, "is a method"),
        ("settings..x", ArgumentError, "expected a path such as"),
        ("", ArgumentError, "expected a path such as"),
        (3, ArgumentError, "expected a path such as"),
    ],
)
async def test_a_path_that_cannot_be_set_is_named(join, path, error, message):
    ada = await join()
    with pytest.raises(error, match=message):
        ada.link((Thing(), "value"), path)
    assert len(ada.bindings) == 0


async def test_any_object_with_traits_can_be_linked(join):
    ada, ben = await join(), await join("ben")
    dial, thing = Dial(), Thing()
    ada.link((dial, "angle"), "speed")
    ben.link((thing, "value"), "speed")
    dial.set_trait("angle", 45)
    await until(lambda: thing.value == 45)
    thing.value = 90
    await until(lambda: dial.angle == 90)
    dial.close()


async def test_widgets_that_are_linked_to_each_other_as_well_make_no_echo(join):
    ada, ben = await join(), await join("ben")
    one, two = Thing(), Thing()
    ada.link((one, "value"), "speed")
    ada.link((two, "value"), "speed")
    traitlets.link((one, "value"), (two, "value"))
    ben.assign("speed", 7)
    await until(lambda: one.value == two.value == 7)
    await ada.synced()
    assert ada._sent_counter == 0
    two.value = 8
    await until(lambda: ben.model.speed == 8)
    await ada.synced()
    assert ada._sent_counter <= 2


async def test_there_and_back_again_ends_where_the_hand_is(join):
    ada = await join()
    thing = Thing()
    ada.link((thing, "value"), "speed")
    thing.value = 2
    thing.value = 1  # what the model has, while the 2 is on its way
    await ada.synced()
    await until(lambda: ada.executed_counter == ada._sent_counter == 2)
    assert ada.model.speed == thing.value == 1


# --- one way, and through functions ------------------------------------------------------------------------------


async def test_a_directed_link_follows_the_model_and_sends_nothing(join):
    ada, ben = await join(), await join("ben")
    label = Label()
    ada.dlink("votes.yes", (label, "value"), lambda count: f"{count} for it")
    assert label.value == "0 for it"
    ben.publish("studio", "vote", "yes")
    await until(lambda: label.value == "1 for it")
    label.value = "mine"
    await ada.synced()
    assert ada._sent_counter == 0


async def test_a_directed_link_may_follow_a_place_in_a_list(join):
    ada = await join()
    text = Text()
    link = ada.dlink("queue.0", (text, "value"))
    assert text.value == "a"
    ada.assign("queue", [])
    await ada.synced()
    assert text.value == "a"
    ada.assign("queue", ["z"])
    await until(lambda: text.value == "z")
    link.unlink()
    ada.assign("queue", ["y"])
    await ada.synced()
    assert text.value == "z"


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda s: s.dlink((Text(), "value"), "speed"), ArgumentError, r"the source comes first"),
        (lambda s: s.dlink("speed", (Text(), "valeu")), ArgumentError, "dlink: Text has no trait 'valeu'"),
        (lambda s: s.dlink("speed", (Text(), "value"), 3), ArgumentError, "expected a function as transform, got 3"),
        (lambda s: s.dlink("votes.maybe", (Text(), "value")), AuthorError, "has no 'maybe'; it has yes, no"),
        (lambda s: s.link((Text(), "value"), "speed", str), ArgumentError, r"transform=\(to_widget, to_model\)"),
        (lambda s: s.link((Text(), "value"), "speed", scope="me"), ArgumentError, "scope=\"user\", got 'me'"),
        (lambda s: s.link((Text(), "value"), "speed", scope="user"), AuthorError, r"PerUser\.create"),
        (lambda s: s.observe("speed", None), ArgumentError, "expected a function to call"),
        (lambda s: s.observe("votes.*.x", print), ArgumentError, "as the last step only"),
        (lambda s: s.observe("sped", print), AuthorError, "Studio has no 'sped'; it has .*speed"),
    ],
)
async def test_mistakes_are_named_at_the_call(join, make, error, message):
    ada = await join()
    with pytest.raises(error, match=message):
        make(ada)
    assert len(ada.bindings) == 0


async def test_a_link_may_translate_both_ways(join):
    ada, ben = await join(), await join("ben")
    fahrenheit, thing = FloatText(), Thing()
    ada.link((fahrenheit, "value"), "speed", (lambda c: c * 9 / 5 + 32, lambda f: (f - 32) * 5 / 9))
    ben.link((thing, "value"), "speed")
    assert fahrenheit.value == 33.8
    fahrenheit.value = 212
    await until(lambda: thing.value == 100)
    thing.value = 0
    await until(lambda: fahrenheit.value == 32)


async def test_a_value_changed_by_translating_comes_back_as_the_model_has_it(join):
    ada = await join()
    text = Text()
    ada.link((text, "value"), "speed", (str, lambda text: round(float(text))))
    text.value = "2.6"
    await until(lambda: text.value == "3")
    assert ada._sent_counter == 1


async def test_a_translation_that_fails_is_told_and_the_models_value_returns(join, caplog):
    ada = await join()
    text = Text()
    ada.link((text, "value"), "speed", (str, int))
    text.value = "many"
    await until(lambda: text.value == "1")
    assert "Text.value was not shared: ValueError: invalid literal" in caplog.text


# --- a value for each participant --------------------------------------------------------------------------------


async def test_each_participant_has_a_value_of_their_own_that_all_can_see(join):
    ada, ben = await join(), await join("ben")
    sliders = IntSlider(), IntSlider()
    for person, slider in zip((ada, ben), sliders, strict=True):
        person.link((slider, "value"), "volume", scope="user")
        assert slider.value == 5
    sliders[0].value = 8
    await until(lambda: dict(ben.model.volume.values) == {ada.view_id: 8})
    sliders[1].value = 2
    await until(lambda: dict(ada.model.volume.values) == {ada.view_id: 8, ben.view_id: 2})
    assert [slider.value for slider in sliders] == [8, 2]


async def test_who_leaves_takes_the_value_along_and_has_it_again(join):
    ada, ben = await join(), await join("ben", rejoin_limit_ms=0)
    slider = IntSlider()
    ben.link((slider, "value"), "volume", scope="user")
    slider.value = 7
    await until(lambda: ada.model.volume.values)
    await ben.leave()
    await until(lambda: not ada.model.volume.values)
    assert dict(ada.model.volume.away) == {"ben": 7}
    again = await join("ben")
    other = IntSlider()
    again.link((other, "value"), "volume", scope="user")
    assert other.value == 7
    assert dict(again.model.volume.away) == {}


# --- observers ---------------------------------------------------------------------------------------------------


async def test_an_observer_hears_old_and_new_between_events(join):
    ada, ben = await join(), await join("ben")
    heard: list[Change] = []
    ada.observe("votes.yes", heard.append)
    ben.publish("studio", "vote", "no")
    ben.publish("studio", "vote", "yes")
    await until(lambda: heard)
    assert heard == [Change("votes.yes", 0, 1, "changed")]


async def test_an_observer_is_called_at_first_only_when_asked(join):
    ada = await join()
    heard: list[Change] = []
    observer = ada.observe("speed", heard.append, initial=True)
    assert heard == [Change("speed", None, 1, "added")]
    observer.unobserve()
    observer.unobserve()
    ada.assign("speed", 2)
    await ada.synced()
    assert len(heard) == 1


async def test_a_star_tells_of_each_key(join):
    ada = await join()
    heard: list[Change] = []
    ada.observe("votes.*", heard.append)
    ada.assign("votes", {"yes": 3, "maybe": 0, "no": 0})
    await ada.synced()
    assert heard == [
        Change("votes.yes", 0, 3, "changed"),
        Change("votes.maybe", None, 0, "added"),
    ]
    heard.clear()
    ada.assign("votes", {"yes": 3})
    await ada.synced()
    assert [(change.path, change.kind) for change in heard] == [("votes.maybe", "removed"), ("votes.no", "removed")]
    assert all(change.new is None for change in heard)


@pytest.mark.parametrize(("path", "expected"), [("part.*", "part.level"), ("*", "speed"), ("queue.*", "queue.1")])
async def test_a_star_stands_for_attributes_and_places_too(join, path, expected):
    ada = await join()
    heard: list[str] = []
    ada.observe(path, lambda change: heard.append(change.path))
    for changed, value in (("part.level", 1), ("speed", 2), ("queue", ["a", "c"])):
        ada.assign(changed, value)
    await ada.synced()
    assert expected in heard


async def test_a_number_that_becomes_a_bool_is_a_change(join):
    ada = await join()
    heard: list[Any] = []
    ada.observe("settings", lambda change: heard.append(change.new["speed"]))
    ada.assign("settings.speed", True)
    await ada.synced()
    assert heard == [True]


async def test_an_observer_that_fails_is_told_and_ends_nothing(join, caplog):
    ada = await join()
    heard: list[int] = []
    ada.observe("speed", lambda change: 1 / 0)
    ada.observe("speed", lambda change: heard.append(change.new))
    for value in (2, 3):
        ada.assign("speed", value)
        await ada.synced()
    assert heard == [2, 3]
    assert "ZeroDivisionError" in caplog.text


async def test_an_observer_may_publish_and_end_itself(join):
    ada = await join()

    def once(change: Change) -> None:
        observer.unobserve()
        ada.publish("studio", "vote", "yes")

    observer = ada.observe("votes.yes", once)
    ada.publish("studio", "vote", "yes")
    await until(lambda: ada.model.votes["yes"] == 2)
    await ada.synced()
    assert ada.model.votes["yes"] == 2


async def test_a_session_that_was_left_binds_nothing(join):
    ada = await join()
    await ada.leave()
    for bind in (lambda: ada.dlink("speed", (Text(), "value")), lambda: ada.observe("speed", print)):
        with pytest.raises(SessionClosed):
            bind()


async def test_a_widget_of_a_session_that_was_left_is_told_of_once_and_does_no_harm(join, caplog):
    ada = await join()
    thing = Thing()
    link = ada.link((thing, "value"), "speed")
    await ada.leave()
    for value in range(2, 6):
        thing.value = value
        link._sent_s = float("-inf")  # long ago
    assert caplog.text.count("was not shared") == 1
    assert "join again" in caplog.text


# --- cells that run again ----------------------------------------------------------------------------------------


def run_cell(cells: Cells, key: str, source: str, code: Callable[[], Any]) -> None:
    enter(cells)
    cells.begin(key, source)
    succeeded = False
    try:
        code()
        succeeded = True
    finally:
        cells.end(succeeded=succeeded)
        enter(None)


async def test_a_thousand_runs_of_a_cell_leave_as_many_objects_as_one(join):
    ada = await join()
    cells = Cells()
    widget = Thing()

    def cell() -> None:
        ada.link((Thing(), "value"), "speed")
        ada.link((widget, "value"), "speed")
        ada.dlink("votes.yes", (Thing(), "value"))
        ada.observe("votes.*", lambda change: None)
        for shown in (ada, ada.panel()):
            shown._repr_mimebundle_()

    for run in range(1020):
        run_cell(cells, "c1", "same", cell)
        if run == 19:
            ada.step()
            few = kinds()
    ada.step()
    assert len(ada.bindings) == 4
    assert grown(few, 20) == {}


async def test_without_cells_a_widget_linked_again_has_one_link(join):
    ada = await join()
    widget = Thing()
    for _ in range(3):
        ada.link((widget, "value"), "speed")
    assert len(ada.bindings) == 1
    widget.value = 4
    await ada.synced()
    assert ada._sent_counter == 1


async def test_a_cell_that_runs_again_replaces_what_it_made(join):
    ada = await join()
    cells = Cells()
    run_cell(cells, "c1", "observe", lambda: ada.observe("speed", print))
    run_cell(cells, "c2", "observe", lambda: ada.observe("speed", print))
    assert len(ada.bindings) == 2
    run_cell(cells, "c1", "observe", lambda: ada.observe("speed", print))
    assert len(ada.bindings) == 2
    run_cell(cells, "c1", "observe", lambda: None)  # `if observer is None` in an unchanged cell
    assert len(ada.bindings) == 2
    run_cell(cells, "c1", "nothing any more", lambda: None)
    assert len(ada.bindings) == 1
    cells.forget(["c2", "c3"])
    assert len(ada.bindings) == 0


async def test_links_and_subscriptions_of_a_cell_are_replaced_together_and_a_failure_before_keeps_both(join):
    ada = await join()
    cells = Cells()

    def cell() -> None:
        ada.subscribe("studio", "done", print)
        ada.link((Thing(), "value"), "speed")

    def there() -> tuple[int, int]:
        return len(ada.view_events.topics), len(ada.bindings)

    run_cell(cells, "c1", "both", cell)
    run_cell(cells, "c1", "both", cell)
    assert there() == (1, 1)
    for source in ("both", "edited"):
        with pytest.raises(ZeroDivisionError):
            run_cell(cells, "c1", source, lambda: 1 / 0)
        with pytest.raises(AuthorError):
            run_cell(cells, "c1", source, lambda: ada.link((Thing(), "value"), "nothing"))
    run_cell(cells, "c1", "both", lambda: None)
    assert there() == (1, 1)
    run_cell(cells, "c1", "a link only", lambda: ada.link((Thing(), "value"), "speed"))
    assert there() == (0, 1)
    run_cell(cells, "c1", "nothing", lambda: None)
    assert there() == (0, 0)


# --- edited code -------------------------------------------------------------------------------------------------


async def test_bindings_go_on_with_edited_code(join, caplog):
    ada = await join()
    heard: list[Any] = []
    slider, thing, own = IntSlider(), Thing(), Thing()
    ada.link((slider, "value"), "speed")
    ada.link((own, "value"), "volume", scope="user")
    ada.observe("speed", lambda change: heard.append(change.new))
    ada.dlink("queue.0", (thing, "value"))
    await ada.follow(EditedStudio)
    lost = "<DirectedLink Thing.value and model.queue.0> has ended: queue.0: EditedStudio has no 'queue'"
    assert lost in ada.notice
    assert lost in caplog.text
    assert len(ada.bindings) == 3
    assert slider.value == 4
    slider.value, own.value = 6, 3
    await until(lambda: ada.model.speed == 6 and ada.model.volume.values == {ada.view_id: 3})
    assert heard == [4, 6]


async def test_a_widget_that_is_moved_while_the_session_changes_over_does_not_jump_back(join, monkeypatch):
    ada = await join()
    slider, shown = IntSlider(), []
    ada.link((slider, "value"), "speed")
    slider.observe(lambda change: shown.append(change["new"]), "value")
    begin_with = ada._begin_with

    def move_and_begin(*code: Any) -> None:
        slider.value = 8
        begin_with(*code)

    monkeypatch.setattr(ada, "_begin_with", move_and_begin)
    await ada.follow(EditedStudio)
    await until(lambda: ada.model.speed == 8)
    assert shown == [8]
    assert slider.value == 8
