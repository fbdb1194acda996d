"""The patterns of the persistence tutorial, written in Python as its text describes them, with plain `Model`."""

from __future__ import annotations

from msq_jupyter import Model
from msq_jupyter.testing import CALM, Simulation


def room_of(model, **arguments):
    return Simulation(weather=CALM).room(model, participants=2, **arguments)


def saved(room):
    """What is saved, once everything is."""
    room.assert_converged()
    return room.versions[-1].data


# --- basic implementation: simple --------------------------------------------------------------------------------


class SimpleApp(Model):
    def init(self, options, persisted=None):
        self.users = {}
        self.content = ""
        self.last_modified = None
        if persisted:
            self.content = persisted.get("content", "")
            self.last_modified = persisted.get("last_modified")
            if "users" in persisted:
                self.users = dict(persisted["users"])
        self.subscribe("app", "content", self.update_content)
        self.subscribe("app", "user", self.add_user)

    def save(self):
        self.persist_session(
            lambda: {
                "content": self.content,
                "last_modified": self.last_modified,
                "users": list(self.users.items()),
            }
        )

    def update_content(self, new_content):
        self.content = new_content
        self.last_modified = self.now()
        self.save()

    def add_user(self, user):
        self.users[user["name"]] = user["role"]
        self.save()


class EditedSimpleApp(SimpleApp):
    """Any change of the code makes another session."""

    def greet(self):
        return "hello"


def test_simple_data_outlives_an_edit_of_the_code():
    room = room_of(SimpleApp)
    room.publish("app", "user", {"name": "zoe", "role": "author"})
    room.publish("app", "user", {"name": "abe", "role": "reader"})
    room.publish("app", "content", "hello")
    room.run(20_000)
    before = saved(room)
    session_id, modified = room.session_id, room.model.last_modified
    room.edit(EditedSimpleApp)
    assert room.session_id != session_id
    assert (room.model.content, room.model.last_modified) == ("hello", modified)
    assert list(room.model.users.items()) == [("zoe", "author"), ("abe", "reader")]
    assert saved(room) == before


def test_without_persist_session_an_edit_begins_anew():
    class Game(Model):
        def init(self, options):
            self.score = 0
            self.subscribe("game", "win", self.win)

        def win(self, points):
            self.score += points

    class EditedGame(Game):
        pass

    room = room_of(Game)
    room.publish("game", "win", 5)
    room.run(1_000)
    assert room.model.score == 5
    room.leave_all()
    room.join(1)
    assert room.model.score == 5
    room.edit(EditedGame)
    assert room.model.score == 0
    assert room.versions == []


def test_the_same_code_again_resumes_and_another_name_shares_nothing():
    simulation = Simulation(weather=CALM)
    room = simulation.room(SimpleApp, name="room1")
    room.publish("app", "content", "one")
    room.settle()
    room.leave_all()
    assert simulation.room(SimpleApp, name="room1").session_id == room.session_id
    other = simulation.room(SimpleApp, name="room2")
    assert other.model.content == ""
    assert other.versions == []


# --- basic implementation: advanced, nested, with a version ------------------------------------------------------


class Document(Model):
    def init(self, options, persisted=None):
        self.title = ""
        self.content = ""
        if persisted:
            self.from_save_data(persisted)

    def to_save_data(self):
        return {"title": self.title, "content": self.content}

    def from_save_data(self, data):
        self.title = data.get("title", "")
        self.content = data.get("content", "")

    def write(self, content):
        self.content = content
        self.save()

    def save(self):
        self.well_known_model("modelRoot").save()


class ComplexApp(Model):
    def init(self, options, persisted=None):
        if persisted:
            self.load_from_persisted(persisted)
        else:
            self.initialize_defaults()
        self.subscribe("app", "write", self.write)

    def initialize_defaults(self):
        self.document_a = Document.create()
        self.document_b = Document.create()
        self.metadata = {"created": self.now()}

    def load_from_persisted(self, persisted):
        version = persisted.get("version")
        if version == 1:
            self.load_version_1(persisted)
        else:
            self.initialize_defaults()

    def load_version_1(self, data):
        self.document_a = Document.create(None, data["documents"]["a"])
        self.document_b = Document.create(None, data["documents"]["b"])
        self.metadata = data.get("metadata") or {"created": self.now()}

    def write(self, text):
        self.document_a.write(text)

    def save(self):
        self.persist_session(self.to_save_data)

    def to_save_data(self):
        return {
            "version": 1,
            "documents": {"a": self.document_a.to_save_data(), "b": self.document_b.to_save_data()},
            "metadata": self.metadata,
        }


class ComplexApp2(ComplexApp):
    def load_from_persisted(self, persisted):
        version = persisted.get("version")
        if version == 1:
            self.load_version_1(persisted)
            self.new_feature = None
        elif version == 2:
            self.load_version_2(persisted)
        else:
            self.initialize_defaults()

    def load_version_2(self, data):
        self.load_version_1(data)
        self.new_feature = data.get("new_feature")

    def write(self, text):
        self.new_feature = f"new: {text}"
        super().write(text)

    def to_save_data(self):
        return {**super().to_save_data(), "version": 2, "new_feature": self.new_feature}


class ComplexApp2Edited(ComplexApp2):
    pass


def test_nested_documents_save_through_the_root_and_a_switch_loads_each_version():
    room = room_of(ComplexApp)
    room.publish("app", "write", "first")
    room.run(1_000)
    assert saved(room)["documents"]["a"] == {"title": "", "content": "first"}
    room.edit(ComplexApp2)
    assert (room.model.document_a.content, room.model.new_feature) == ("first", None)
    room.publish("app", "write", "second")
    room.run(1_000)
    assert saved(room)["version"] == 2
    room.edit(ComplexApp2Edited)
    assert (room.model.document_a.content, room.model.new_feature) == ("second", "new: second")
    assert [version.schema_version for version in room.versions] == [1, 2]


def test_an_unknown_version_falls_back_to_the_defaults_when_the_model_says_so():
    room = room_of(ComplexApp2)
    room.publish("app", "write", "newer")
    room.run(1_000)
    room.edit(ComplexApp)
    assert room.model.document_a.content == ""
    assert saved(room)["new_feature"] == "new: newer"


# --- data serialization requirements -----------------------------------------------------------------------------


class Serializing(Model):
    def init(self, options, persisted=None):
        data = persisted or {}
        self.user_map = dict(data.get("users", []))
        self.tags = set(data.get("tags", []))
        self.created_at = data.get("created_at", self.now())
        self.subscribe("tags", "add", self.add)

    def add(self, tag):
        self.tags.add(tag)
        self.user_map[tag] = [1, None, {"nested": 4.5}]
        self.save()

    def save(self):
        self.persist_session(
            lambda: {
                "users": list(self.user_map.items()),
                "tags": sorted(self.tags),
                "created_at": self.created_at,
            }
        )


class EditedSerializing(Serializing):
    pass


def test_what_is_not_json_is_converted_by_hand_both_ways():
    room = room_of(Serializing)
    for tag in ("b", "a"):
        room.publish("tags", "add", tag)
    room.run(10_000)
    assert saved(room)["tags"] == ["a", "b"]
    created_at, users = room.model.created_at, room.model.user_map
    room.edit(EditedSerializing)
    assert room.model.tags == {"a", "b"}
    assert list(room.model.user_map.items()) == list(users.items())
    assert room.model.created_at == created_at


# --- when to save ------------------------------------------------------------------------------------------------


class DocumentEditor(Model):
    """Saves major changes at once, and minor ones never."""

    def init(self, options, persisted=None):
        self.documents = dict(persisted["documents"]) if persisted else {}
        self.cursors = {}
        self.subscribe("documents", "add", self.add_document)
        self.subscribe("documents", "delete", self.delete_document)
        self.subscribe("cursor", "move", self.update_cursor)

    def add_document(self, document):
        self.documents[document["id"]] = document
        self.save()

    def delete_document(self, document_id):
        del self.documents[document_id]
        self.save()

    def update_cursor(self, position):
        self.cursors["me"] = position

    def save(self):
        self.persist_session(lambda: {"documents": list(self.documents.items())})


def test_major_changes_are_saved_at_once_and_minor_ones_are_not():
    room = room_of(DocumentEditor)
    room.publish("documents", "add", {"id": "d1"})
    room.run(200)
    assert len(room.versions) == 1
    for x in range(20):
        room.publish("cursor", "move", [x, 0])
        room.run(1_000)
    assert len(room.versions) == 1
    room.publish("documents", "delete", "d1")
    room.run(1_000)
    assert saved(room) == {"documents": []}


class TextEditor(Model):
    """Saves 30 seconds after the last change, by a future message that every change cancels."""

    def init(self, options, persisted=None):
        self.content = persisted["content"] if persisted else ""
        self.save_timer = None
        self.has_changes = False
        self.subscribe("text", "update", self.update_text)

    def update_text(self, new_text):
        self.content = new_text
        self.has_changes = True
        if self.save_timer:
            self.save_timer.cancel()
        self.save_timer = self.future(30_000).save_if_changed()

    def save_if_changed(self):
        if self.has_changes:
            self.save()
            self.has_changes = False
        self.save_timer = None

    def save(self):
        self.persist_session(lambda: {"content": self.content, "last_saved": self.now()})


class EditedTextEditor(TextEditor):
    pass


def test_a_debounced_save_comes_after_the_last_change():
    room = room_of(TextEditor)
    for text in ("a", "ab", "abc"):
        room.publish("text", "update", text)
        room.run(20_000)
    assert room.versions == []
    room.join(1)  # the handle came in a snapshot or by replay
    room.run(15_000)
    room.assert_converged()
    assert [version.data["content"] for version in room.versions] == ["abc"]
    assert (room.model.save_timer, room.model.has_changes) == (None, False)
    room.edit(EditedTextEditor)
    assert room.model.content == "abc"


class Autosaver(Model):
    """The tutorial's collaborative editor: saves major changes at once, the rest every 30 seconds."""

    def init(self, options, persisted=None):
        if persisted:
            self.documents = dict(persisted["documents"])
            self.users = dict(persisted["users"])
            self.settings = persisted["settings"]
        else:
            self.documents = {}
            self.users = {}
            self.settings = {"theme": "light", "autosave": True}
        self.has_unsaved_changes = False
        self.subscribe("documents", "create", self.create_document)
        self.subscribe("documents", "update", self.update_document)
        self.setup_autosave()

    def setup_autosave(self):
        if self.settings["autosave"]:
            self.future(30_000).autosave()

    def autosave(self):
        if self.has_unsaved_changes:
            self.save()
            self.has_unsaved_changes = False
        self.setup_autosave()

    def create_document(self, data):
        document = {
            "id": self.generate_id(),
            "title": data["title"],
            "content": data["content"],
            "created": self.now(),
            "modified": self.now(),
        }
        self.documents[document["id"]] = document
        self.has_unsaved_changes = True
        self.save()

    def update_document(self, data):
        document = self.documents.get(data["id"])
        if document:
            document.update(data["changes"], modified=self.now())
            self.has_unsaved_changes = True

    def save(self):
        self.persist_session(
            lambda: {
                "version": 1,
                "documents": list(self.documents.items()),
                "users": list(self.users.items()),
                "settings": self.settings,
            }
        )


class EditedAutosaver(Autosaver):
    def word_count(self):
        return sum(len(document["content"].split()) for document in self.documents.values())


def test_the_collaborative_editor_saves_by_itself_and_survives_an_edit():
    room = room_of(Autosaver)
    ada, ben = room.participants
    room.publish("documents", "create", {"title": "Plan", "content": "one"}, by=ada)
    room.run(1_000)
    assert len(room.versions) == 1
    (document_id,) = room.model.documents
    room.publish("documents", "update", {"id": document_id, "changes": {"content": "one two three"}}, by=ben)
    room.publish("documents", "update", {"id": "none", "changes": {}}, by=ben)
    room.run(3_000)
    assert len(room.versions) == 1
    room.run(30_000)
    assert len(room.versions) == 2
    room.run(90_000)
    room.assert_converged()
    assert len(room.versions) == 2
    room.edit(EditedAutosaver)
    assert room.model.word_count() == 3
    assert room.model.documents[document_id]["modified"] > room.model.documents[document_id]["created"]
    room.publish("documents", "update", {"id": document_id, "changes": {"title": "New plan"}})
    room.run(35_000)
    assert dict(saved(room)["documents"])[document_id]["title"] == "New plan"


def test_rapid_saves_are_throttled_and_the_last_one_counts():
    room = room_of(DocumentEditor)
    for number in range(30):
        room.publish("documents", "add", {"id": f"d{number}"})
        room.run(100)
    room.assert_converged()
    assert len(room.versions) <= 3
    assert len(room.versions[-1].data["documents"]) == 30
