"""The tutorial's patterns for errors, versions and a real example, in Python; the others are in `test_tutorial`."""

from __future__ import annotations

import pytest

from msq_jupyter import Model
from msq_jupyter.errors import PersistedDataError
from msq_jupyter.testing import Simulation
from tests.persistence.test_tutorial import room_of, saved

# --- error handling ----------------------------------------------------------------------------------------------


class SafeModel(Model):
    """Guards what was saved by two flags, as the tutorial writes it."""

    def init(self, options, persisted=None):
        self.loading_persistent_data_errored = False
        self.loading_persistent_data = False
        if persisted:
            self.loading_persistent_data = True
            try:
                self.from_saved_data(persisted)
            except Exception:
                self.loading_persistent_data_errored = True
                self.initialize_defaults()
            finally:
                del self.loading_persistent_data
        else:
            self.initialize_defaults()
        self.subscribe("documents", "add", self.add)

    def initialize_defaults(self):
        self.documents = {}
        self.metadata = {}

    def add(self, document_id):
        self.documents[document_id] = {"added": self.now()}
        self.save()

    def save(self):
        if getattr(self, "loading_persistent_data", False):
            return
        if self.loading_persistent_data_errored:
            return
        self.persist_session(self.to_save_data)

    def from_saved_data(self, persisted):
        if not persisted.get("version"):
            raise ValueError("Missing version in persistent data")
        if persisted["version"] > 2:
            raise ValueError(f"Unsupported version: {persisted['version']}")
        self.documents = dict(persisted.get("documents", []))
        self.metadata = persisted.get("metadata", {})
        self.save()  # does nothing: it is loading

    def to_save_data(self):
        return {"version": 2, "documents": list(self.documents.items()), "metadata": self.metadata}


class FutureSafeModel(SafeModel):
    def to_save_data(self):
        return {**super().to_save_data(), "version": 3}


class EditedSafeModel(SafeModel):
    pass


def test_5_8_guard_flags_keep_good_data_from_being_overwritten():
    room = room_of(FutureSafeModel)
    room.publish("documents", "add", "precious")
    room.run(1_000)
    before = saved(room)
    room.edit(SafeModel)
    assert room.model.loading_persistent_data_errored
    room.publish("documents", "add", "lost")
    room.run(20_000)
    assert list(room.model.documents) == ["lost"]
    assert saved(room) == before
    assert len(room.versions) == 1


def test_guard_flags_let_a_good_load_pass():
    room = room_of(SafeModel)
    room.publish("documents", "add", "d1")
    room.run(1_000)
    room.edit(EditedSafeModel)
    assert not room.model.loading_persistent_data_errored
    assert list(room.model.documents) == ["d1"]
    assert len(room.versions) == 1
    room.publish("documents", "add", "d2")
    room.run(1_000)
    assert [pair[0] for pair in saved(room)["documents"]] == ["d1", "d2"]


# --- version management ------------------------------------------------------------------------------------------


class Saving(Model):
    """Saves what its options say, as older and newer code would have."""

    def init(self, options, persisted=None):
        self.persist_session(dict(options))


class VersionedModel(Model):
    def init(self, options, persisted=None):
        self.documents = {}
        self.permissions = {}
        self.collaborators = set()
        self.last_activity = 0.0
        if persisted:
            self.from_saved_data(persisted)
        self.subscribe("it", "save", self.save)

    def from_saved_data(self, persisted):
        version = persisted.get("version")
        if version == 1:
            self.load_version_1(persisted)
        elif version == 2:
            self.load_version_2(persisted)
        elif version == 3:
            self.load_version_3(persisted)
        elif version is not None and version > 3:
            raise ValueError(f"Future version not supported: {version}")
        else:
            self.load_legacy(persisted)

    def load_legacy(self, data):
        self.documents = {f"old-{index}": text for index, text in enumerate(data["texts"])}

    def load_version_1(self, data):
        self.documents = dict(data.get("documents", []))

    def load_version_2(self, data):
        self.load_version_1(data)
        self.permissions = dict(data.get("permissions", []))

    def load_version_3(self, data):
        self.load_version_2(data)
        self.collaborators = set(data.get("collaborators", []))
        self.last_activity = data.get("last_activity", self.now())

    def save(self, _data):
        self.persist_session(self.to_save_data)

    def to_save_data(self):
        return {
            "version": 3,
            "documents": list(self.documents.items()),
            "permissions": list(self.permissions.items()),
            "collaborators": sorted(self.collaborators),
            "last_activity": self.last_activity,
        }


@pytest.mark.parametrize(
    ("data", "documents", "permissions", "collaborators"),
    [
        ({"texts": ["a", "b"]}, {"old-0": "a", "old-1": "b"}, {}, set()),
        ({"version": 1, "documents": [["d", "x"]]}, {"d": "x"}, {}, set()),
        ({"version": 2, "documents": [["d", "x"]], "permissions": [["d", "all"]]}, {"d": "x"}, {"d": "all"}, set()),
        ({"version": 3, "documents": [], "collaborators": ["ben", "ada"]}, {}, {}, {"ada", "ben"}),
    ],
    ids=["without a version", "1", "2", "3"],
)
def test_every_version_that_was_ever_saved_is_loaded(data, documents, permissions, collaborators):
    room = room_of(Saving, options=data)
    room.settle()
    room.edit(VersionedModel)
    assert room.model.documents == documents
    assert room.model.permissions == permissions
    assert room.model.collaborators == collaborators
    room.publish("it", "save")
    room.run(1_000)
    assert saved(room)["version"] == 3
    assert room.versions[-1].parent == room.versions[0].number


def test_5_8_a_future_version_is_refused_and_nothing_is_overwritten():
    room = room_of(Saving, options={"version": 4, "documents": []})
    room.settle()
    with pytest.raises(PersistedDataError, match="ValueError: Future version not supported: 4") as caught:
        room.edit(VersionedModel)
    assert caught.value.version == 1
    assert isinstance(caught.value.__cause__, ValueError)
    assert [version.data for version in room.versions] == [{"version": 4, "documents": []}]


class MigrationModel(Model):
    """A breaking change: documents were a list of loose objects, and are records by id now."""

    def init(self, options, persisted=None):
        self.documents = {}
        if persisted:
            self.from_saved_data(persisted)

    def from_saved_data(self, persisted):
        if persisted["version"] == 1:
            for index, old in enumerate(persisted.get("documents", [])):
                document = {
                    "id": f"doc-{index}",
                    "title": old.get("name", "Untitled"),
                    "content": old.get("text", ""),
                    "created": old.get("timestamp", self.now()),
                    "modified": old.get("timestamp", self.now()),
                }
                self.documents[document["id"]] = document
            self.persist_session(lambda: {"version": 2, "documents": list(self.documents.items())})
        else:
            self.documents = dict(persisted.get("documents", []))


class EditedMigrationModel(MigrationModel):
    pass


def test_5_4_a_breaking_change_is_migrated_and_the_save_in_init_counts():
    room = room_of(Saving, options={"version": 1, "documents": [{"name": "A", "text": "x", "timestamp": 5}, {}]})
    room.settle()
    room.edit(MigrationModel)
    room.settle()
    expected = {
        "doc-0": {"id": "doc-0", "title": "A", "content": "x", "created": 5, "modified": 5},
        "doc-1": {"id": "doc-1", "title": "Untitled", "content": "", "created": 0, "modified": 0},
    }
    assert room.model.documents == expected
    assert [version.schema_version for version in room.versions] == [1, 2]
    room.edit(EditedMigrationModel)
    assert room.model.documents == expected
    assert len(room.versions) == 2


# --- real-world examples: creative canvas ------------------------------------------------------------------------


class Canvas(Model):
    def init(self, options, persisted=None):
        self.loading_persistent_data = persisted is not None
        self.loading_errored = False
        try:
            if persisted:
                self.from_saved_data(persisted)
            else:
                self.defaults()
        except Exception:
            self.defaults()
            self.loading_errored = True
        finally:
            self.loading_persistent_data = False
        self.subscribe("canvas", "add", self.add_shape)
        self.subscribe("canvas", "delete", self.delete_shape)

    def defaults(self):
        self.shapes = []
        self.layers = [{"id": "default", "name": "Layer 1", "visible": True}]
        self.canvas_size = {"width": 800, "height": 600}

    def add_shape(self, shape):
        self.shapes.append({**shape, "id": self.generate_id(), "created": self.now()})
        self.save()

    def delete_shape(self, shape_id):
        self.shapes = [shape for shape in self.shapes if shape["id"] != shape_id]
        self.save()

    def save(self):
        if self.loading_persistent_data or self.loading_errored:
            return
        self.persist_session(
            lambda: {
                "version": 1,
                "shapes": self.shapes,
                "layers": self.layers,
                "canvas_size": self.canvas_size,
                "metadata": {"shape_count": len(self.shapes), "last_modified": self.now()},
            }
        )

    def from_saved_data(self, persisted):
        if persisted["version"] != 1:
            raise ValueError(f"Unsupported version: {persisted['version']}")
        self.shapes = persisted.get("shapes", [])
        self.layers = persisted.get("layers", [])
        self.canvas_size = persisted.get("canvas_size", {"width": 800, "height": 600})


class EditedCanvas(Canvas):
    def area(self):
        return self.canvas_size["width"] * self.canvas_size["height"]


def test_the_creative_canvas_keeps_its_shapes_in_all_weathers(simulation: Simulation):
    room = simulation.room(Canvas, participants=3)
    for number in range(8):
        room.publish("canvas", "add", {"kind": "circle", "x": number})
        room.run(1_500)
    room.assert_converged()
    room.publish("canvas", "delete", room.model.shapes[0]["id"])
    room.run(1_500)
    room.assert_converged()
    shapes = [dict(shape) for shape in room.model.shapes]
    assert shapes  # who was killed took the rest along
    room.edit(EditedCanvas)
    assert room.model.shapes == shapes
    assert room.model.area() == 480_000
    assert room.versions[-1].data["metadata"]["shape_count"] == len(shapes)
    room.publish("canvas", "add", {"kind": "square"})
    room.assert_converged()
    assert len({shape["id"] for shape in room.model.shapes}) == len(shapes) + 1


def test_a_canvas_that_could_not_be_loaded_never_overwrites():
    room = room_of(Saving, options={"version": 9, "shapes": [{"id": "s"}]})
    room.settle()
    room.edit(Canvas)
    assert room.model.loading_errored
    room.publish("canvas", "add", {"kind": "circle"})
    room.run(10_000)
    assert saved(room) == {"version": 9, "shapes": [{"id": "s"}]}
