"""`PersistentModel`: what it promises, and what it says when a class or the saved data is not as it must be."""

from __future__ import annotations

from datetime import timedelta

import pytest

from msq_jupyter import Model, PersistentModel, migration
from msq_jupyter.errors import (
    ArgumentError,
    MigrationMissing,
    PersistedDataError,
    PersistenceTypeError,
    SchemaError,
    SchemaTooNew,
)
from msq_jupyter.runtime.codehash import explain_difference, identify
from msq_jupyter.testing import CALM, HandlerRaised, Simulation, check_determinism


class Notes(PersistentModel):
    """The first version of an application."""

    def init(self, options, persisted=None):
        super().init(options, persisted)
        self.subscribe("notes", "add", self.add)
        self.subscribe("notes", "quietly", self.quietly)

    def defaults(self, options):
        self.notes = [options.get("first", "welcome")]

    def to_save_data(self):
        return {"notes": self.notes}

    def from_save_data(self, data):
        self.notes = data["notes"]

    def add(self, text):
        self.notes.append(text)
        self.save()

    def quietly(self, text):
        self.notes.append(text)


class TitledNotes(Notes):
    """Notes have titles now."""

    schema_version = 2

    @migration(1)
    def give_titles(self, data):
        data["notes"] = [{"title": text.upper()} for text in data["notes"]]
        return data


class DatedNotes(TitledNotes):
    """A subclass of a subclass; its step runs after the inherited one."""

    schema_version = 3

    @migration(2)
    def give_dates(self, data):
        return {"notes": [{**note, "added_ms": self.now()} for note in data["notes"]]}


def calm_room(model, **arguments):
    return Simulation(weather=CALM).room(model, participants=2, **arguments)


def test_5_9_without_saved_data_it_begins_with_the_defaults():
    room = calm_room(Notes, options={"first": "hello"})
    assert room.model.notes == ["hello"]
    assert room.versions == []


def test_5_9_saved_data_has_the_schema_version_and_comes_back_without_it():
    room = calm_room(Notes)
    room.publish("notes", "add", "one")
    room.run(1_000)
    room.settle()
    assert room.versions[-1].data == {"version": 1, "notes": ["welcome", "one"]}
    assert room.versions[-1].schema_version == 1

    class Reformatted(Notes):
        def from_save_data(self, data):
            self.keys = list(data)
            self.notes = data["notes"]

    room.edit(Reformatted)
    assert (room.model.keys, room.model.notes) == (["notes"], ["welcome", "one"])


def test_5_9_migrations_run_one_after_the_other_up_to_the_current_version():
    model = check_determinism(DatedNotes, [("notes", "quietly", "x"), 5_000], persisted={"version": 1, "notes": ["a"]})
    assert model.notes[0] == {"title": "A", "added_ms": 0}
    model = check_determinism(DatedNotes, [], persisted={"version": 2, "notes": [{"title": "b"}]})
    assert model.notes == [{"title": "b", "added_ms": 0}]
    assert DatedNotes._migrations == {1: "give_titles", 2: "give_dates"}
    assert TitledNotes._migrations == {1: "give_titles"}


def test_5_9_data_without_a_version_is_version_0():
    class FromTheOldDays(Notes):
        @migration(0)
        def from_a_list(self, data):
            return {"notes": [str(item) for item in data]}

    assert check_determinism(FromTheOldDays, [], persisted=[1, 2]).notes == ["1", "2"]


def test_5_9_a_newer_version_is_refused_by_name():
    with pytest.raises(
        SchemaTooNew,
        match=r"the saved data has version 7, and TitledNotes knows versions up to 2: newer code saved it, so run the "
        r"cell with the newer code, or join with persisted= and the number of an older version",
    ) as caught:
        check_determinism(TitledNotes, [], persisted={"version": 7, "notes": []})
    assert (caught.value.saved_version, caught.value.schema_version) == (7, 2)


def test_5_9_a_missing_step_is_named():
    with pytest.raises(
        MigrationMissing,
        match=r"TitledNotes is at version 2 and the saved data has no version, which counts as version 0: there is no "
        r"migration from version 0 to 1; write a method of TitledNotes with @migration\(0\)",
    ) as caught:
        check_determinism(TitledNotes, [], persisted={"notes": []})
    assert (caught.value.step, caught.value.saved_version, caught.value.schema_version) == (0, 0, 2)


def test_5_9_an_edit_migrates_and_saves_the_migrated_form():
    simulation = Simulation(weather=CALM)
    room = simulation.room(Notes, participants=2)
    room.publish("notes", "add", "one")
    room.run(1_000)
    room.edit(TitledNotes)
    assert room.model.notes == [{"title": "WELCOME"}, {"title": "ONE"}]
    room.edit(DatedNotes)
    room.publish("notes", "add", {"title": "two"})
    room.assert_converged()
    assert room.versions[-1].schema_version == 3
    with pytest.raises(PersistedDataError, match="version 3, and TitledNotes knows versions up to 2"):
        simulation.room(TitledNotes, options={"another": "session"})
    assert [version.schema_version for version in room.versions] == [1, 3]


def test_5_9_nothing_is_saved_while_loading():
    class Eager(Notes):
        schema_version = 2

        @migration(1)
        def early(self, data):
            self.early_save = self.save()
            return data

        def from_save_data(self, data):
            self.notes = ["half loaded"]
            self.late_save = self.save()
            self.notes = data["notes"]

        def defaults(self, options):
            super().defaults(options)
            self.fresh_save = self.save()

    model = check_determinism(Eager, [], persisted={"version": 1, "notes": ["a"]})
    assert (model.early_save, model.late_save, model.notes) == (False, False, ["a"])
    assert check_determinism(Eager, []).fresh_save is False


def test_5_9_nothing_is_saved_after_a_failed_load():
    class Guarded(Notes):
        autosave_ms = 1_000
        schema_version = 2

        def init(self, options, persisted=None):
            try:
                super().init(options, persisted)
            except Exception as error:
                self.trouble = str(error)
                self.defaults(options)
                self.subscribe("notes", "add", self.add)

        @migration(1)
        def step(self, data):
            raise ZeroDivisionError("on purpose")

    room = calm_room(Notes)
    room.publish("notes", "add", "precious")
    room.run(1_000)
    room.edit(Guarded)
    assert room.model.load_failed
    assert room.model.trouble == "on purpose"
    room.publish("notes", "add", "lost")
    room.run(10_000)
    room.assert_converged()
    assert room.model.notes == ["welcome", "lost"]
    assert [version.data["notes"] for version in room.versions] == [["welcome", "precious"]]
    assert not check_determinism(Notes, []).load_failed


def test_5_9_autosave_saves_only_when_something_changed():
    class Autosaving(Notes):
        autosave_ms = timedelta(seconds=10)

    room = calm_room(Autosaving)
    room.run(60_000)
    first = [version.data["notes"] for version in room.versions]
    room.publish("notes", "quietly", "a")
    room.publish("notes", "quietly", "b")
    room.run(60_000)
    room.assert_converged()
    assert first == [["welcome"]]
    assert [version.data["notes"] for version in room.versions] == [["welcome"], ["welcome", "a", "b"]]


def test_5_9_save_works_from_any_model():
    class Child(PersistentModel):
        def init(self, options):
            self.subscribe("child", "change", self.change)

        def change(self, text):
            self.well_known_model("modelRoot").notes.append(text)
            self.save()

    class Parent(Notes):
        def init(self, options, persisted=None):
            super().init(options, persisted)
            self.child = Child.create()

    room = calm_room(Parent)
    room.publish("child", "change", "by a child")
    room.run(1_000)
    room.settle()
    assert room.versions[-1].data["notes"] == ["welcome", "by a child"]


# --- mistakes ----------------------------------------------------------------------------------------------------


def test_an_init_that_forgets_super_cannot_overwrite_what_was_saved():
    class Forgetful(Notes):
        def init(self, options, persisted=None):
            self.notes = []
            self.subscribe("notes", "add", self.add)

    room = calm_room(Forgetful)
    room.publish("notes", "add", "x")
    with pytest.raises(HandlerRaised, match=r"begin .*Forgetful\.init with super\(\)\.init\(options, persisted\)"):
        room.run(1_000)
    assert room.versions == []


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (["a"], r"to_save_data: expected a dict such as \{'items': self.items\}, got list"),
        ({"version": 3}, r'"version" is 3, and schema_version is 1: leave "version" out, it is added'),
        ({"notes": {1}}, r"set at data.notes is not JSON: sort it into a list"),
    ],
)
def test_save_data_that_cannot_be_saved_is_refused_at_the_caller(data, message):
    class Wrong(Notes):
        def init(self, options, persisted=None):
            super().init(options, persisted)
            self.subscribe("do", "it", self.do_it)

        def to_save_data(self):
            return {"list": ["a"], "version": {"version": 3}, "set": {"notes": {1}}}[self.which]

        def do_it(self, which):
            self.which = which
            self.save()

    which = "list" if isinstance(data, list) else "set" if "notes" in data else "version"
    with pytest.raises(HandlerRaised, match=message) as caught:
        check_determinism(Wrong, [("do", "it", which)])
    assert isinstance(caught.value.__cause__, PersistenceTypeError if which == "set" else SchemaError)


def test_a_version_of_its_own_that_agrees_is_fine():
    class Explicit(Notes):
        def to_save_data(self):
            return {"version": 1, "notes": self.notes}

    room = calm_room(Explicit)
    room.publish("notes", "add", "x")
    room.settle()
    assert room.versions[-1].data == {"version": 1, "notes": ["welcome", "x"]}


@pytest.mark.parametrize("version", ["1.2", 1.0, None, True, -1])
def test_a_version_of_another_program_is_refused(version):
    with pytest.raises(
        SchemaError, match='Notes: expected saved data whose "version" is an integer of 0 or more, got '
    ):
        check_determinism(Notes, [], persisted={"version": version})


def test_a_migration_that_returns_nothing_is_named():
    class Silent(Notes):
        schema_version = 2

        @migration(1)
        def silent(self, data):
            data["x"] = 1

    with pytest.raises(SchemaError, match=r"Silent\.silent, the migration from version 1, returned None: end it with"):
        check_determinism(Silent, [], persisted={"version": 1})


def test_what_must_be_written_is_named():
    class Empty(PersistentModel):
        def init(self, options, persisted=None):
            super().init(options, persisted)
            self.subscribe("do", "it", self.save)

    with pytest.raises(SchemaError, match=r"Empty does not say what to save: write def from_save_data\(self, data\): "):
        check_determinism(Empty, [], persisted={"version": 1})

    class Saving(Empty):
        def init(self, options, persisted=None):
            super().init(options, persisted)
            self.save()

    with pytest.raises(SchemaError, match=r"Saving does not say what to save: write def to_save_data\(self\): return "):
        check_determinism(Saving, [])


def _step(self, data):
    return data


def _class_with(**attributes):
    return type("Wrong", (PersistentModel,), attributes)


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        (
            {"schema_version": 2, "a": 1, "b": 1},
            "Wrong has two migrations from version 1, a and b: keep one",
        ),
        (
            {"schema_version": 4, "a": 1, "b": 3},
            r"Wrong has migrations from version 1 on, but none from version 2 to 3: write a method with @migr.*\(2\)",
        ),
        (
            {"schema_version": 3, "a": 1},
            r"none from version 2 to 3: write a method with @migration\(2\), or set schema_version to 2",
        ),
        (
            {"a": 0, "b": 1},
            "Wrong.b migrates from version 1, and schema_version is 1: write schema_version = 2 in Wrong",
        ),
        ({"schema_version": 0}, "Wrong.schema_version: expected an integer of 1 or more, got 0"),
        ({"schema_version": "2"}, "Wrong.schema_version: expected an integer of 1 or more, got '2'"),
        ({"autosave_ms": 0}, "Wrong.autosave_ms: expected more than 0 milliseconds, a timedelta or None, got 0"),
        ({"autosave_ms": timedelta(0)}, r"got datetime.timedelta\(0\)"),
    ],
)
def test_mistakes_are_found_when_the_class_is_defined(attributes, message):
    settings = ("schema_version", "autosave_ms")
    methods = {
        name: value if name in settings else migration(value)(lambda self, data: data)
        for name, value in attributes.items()
    }
    with pytest.raises(SchemaError, match=message):
        _class_with(**methods)


def test_a_subclass_may_replace_a_step_but_not_add_a_second_one():
    class Other(TitledNotes):
        @migration(1)
        def give_titles(self, data):
            return {"notes": []}

    assert check_determinism(Other, [], persisted={"version": 1, "notes": ["a"]}).notes == []
    with pytest.raises(SchemaError, match=r"two migrations from version 1, .*: keep one"):

        class Second(TitledNotes):
            @migration(1)
            def other_titles(self, data):
                return data

    with pytest.raises(SchemaError, match="write schema_version = 3 in Third"):

        class Third(TitledNotes):
            @migration(2)
            def dates(self, data):
                return data


@pytest.mark.parametrize("version", [-1, "1", 1.0, True, None])
def test_migration_needs_a_version(version):
    with pytest.raises(
        ArgumentError, match=r"expected the version to migrate from, 0 or more, got .*: write @migration"
    ):
        migration(version)


def test_migration_without_a_version_shows_the_line_that_works():
    with pytest.raises(ArgumentError, match=r"write @migration\(1\) above a method"):

        class Bare(PersistentModel):
            @migration
            def step(self, data):
                return data


def test_migration_above_a_property_says_so():
    with pytest.raises(ArgumentError, match="expected a method, got <property"):
        migration(1)(property(_step))


# --- code identity -----------------------------------------------------------------------------------------------

FLOOR = 1


def _lowest(data):
    return data


class Hashed(PersistentModel):
    schema_version = 2

    @migration(FLOOR)
    def step(self, data):
        return _lowest({**data, "limit": 1})


def test_migrations_are_part_of_the_code():
    identity = identify(Hashed, model_base=Model)
    records = {(record.kind, record.name.rpartition(".")[2]): record for record in identity.records}
    assert "migration" in records["function", "step"].text
    assert ("function", "_lowest") in records
    assert "limit" in identity.source
    assert not [record.name for record in identity.records if record.name.startswith("msq_jupyter.")]

    class Hashed2(PersistentModel):
        schema_version = 2

        @migration(FLOOR)
        def step(self, data):
            return _lowest({**data, "limit": 2})

    Hashed2.__qualname__ = Hashed2.__name__ = "Hashed"
    assert identify(Hashed2, model_base=Model).code_hash != identity.code_hash
    assert explain_difference(identity.records, identify(DatedNotes, model_base=Model).records)


def test_inherited_migrations_are_part_of_the_code():
    records = identify(DatedNotes, model_base=Model).records
    names = {record.name.rpartition(".")[2] for record in records if record.kind == "function"}
    assert {"give_titles", "give_dates", "to_save_data"} <= names
    (record,) = (record for record in records if record.kind == "class" and record.name.endswith("DatedNotes"))
    assert "_migrations is" in record.text


def test_it_is_ordinary_state():
    """The whole state is compared after every step, also with a replica made from a snapshot before each."""

    class Autosaving(TitledNotes):
        autosave_ms = 500

    steps = [("notes", "add", {"title": str(number)}) if number % 2 else 700 for number in range(8)]
    check_determinism(Autosaving, steps, persisted={"version": 1, "notes": ["a"]})
