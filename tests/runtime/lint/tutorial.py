"""The models of the persistence tutorial, as one writes them in Python. The lint has nothing to say about them."""

from __future__ import annotations

import json

from msq_jupyter import Model


class GameModel(Model):
    def init(self, options):
        self.players = {}
        self.score = 0


class CollaborativeEditor(Model):
    def init(self, options, persisted=None):
        if persisted:
            self.restore_from_persisted(persisted)
        else:
            self.documents = {}
            self.users = {}

    def restore_from_persisted(self, persisted):
        self.documents = dict(persisted["documents"])
        self.users = {}

    def save(self):
        self.persist_session(lambda: {"documents": list(self.documents.items()), "last_saved": self.now()})


class SimpleAppModel(Model):
    def init(self, options, persisted=None):
        self.users = {}
        self.content = ""
        self.last_modified = None
        if persisted:
            self.content = persisted["content"] or ""
            self.last_modified = persisted["last_modified"]
            if persisted.get("users"):
                self.users = dict(persisted["users"])

    def save(self):
        self.persist_session(
            lambda: {
                "content": self.content,
                "last_modified": self.last_modified,
                "users": [list(item) for item in self.users.items()],
            }
        )

    def update_content(self, new_content):
        self.content = new_content
        self.last_modified = self.now()
        self.save()


class ComplexAppModel(Model):
    def init(self, options, persisted=None):
        if persisted:
            self.load_from_persisted(persisted)
        else:
            self.initialize_defaults()

    def initialize_defaults(self):
        self.document_a = DocumentModel.create()
        self.document_b = DocumentModel.create()
        self.metadata = {"created": self.now()}

    def load_from_persisted(self, persisted):
        match persisted["version"]:
            case 1:
                self.load_version_1(persisted)
            case 2:
                self.load_version_2(persisted)
            case version:
                print("Unknown version:", version)
                self.initialize_defaults()

    def load_version_1(self, data):
        self.document_a = DocumentModel.create(None, data["documents"]["a"])
        self.document_b = DocumentModel.create(None, data["documents"]["b"])
        self.metadata = data.get("metadata") or {"created": self.now()}

    def load_version_2(self, data):
        self.load_version_1(data)
        self.new_feature = data.get("new_feature")

    def save(self):
        self.persist_session(lambda: self.to_save_data())

    def to_save_data(self):
        return {
            "version": 2,
            "documents": {"a": self.document_a.to_save_data(), "b": self.document_b.to_save_data()},
            "metadata": self.metadata,
            "new_feature": self.new_feature,
        }


class DocumentModel(Model):
    def init(self, options, persisted=None):
        self.title = ""
        self.content = ""
        if persisted:
            self.from_save_data(persisted)

    def to_save_data(self):
        return {"title": self.title, "content": self.content}

    def from_save_data(self, data):
        self.title = data["title"] or ""
        self.content = data["content"] or ""

    def save(self):
        self.well_known_model("modelRoot").save()


class SerializingModel(Model):
    def init(self, options):
        self.user_map = {}
        self.user_set = set()
        self.created_at = self.now()

    def save(self):
        self.persist_session(
            lambda: {
                "users": list(self.user_map.items()),
                "tags": sorted(self.user_set),
                "created_at": self.created_at,
            }
        )

    def restore_from_persisted(self, data):
        self.user_map = dict(data["users"] or [])
        self.user_set = set(data["tags"] or [])
        self.created_at = data["created_at"] or self.now()


class WhiteboardModel(Model):
    def init(self, options, persisted=None):
        self.shapes = persisted["shapes"] if persisted else []
        self.users = dict(persisted["users"]) if persisted else {}

    def add_shape(self, shape):
        self.shapes.append(shape)
        self.save()

    def save(self):
        self.persist_session(lambda: {"shapes": self.shapes, "users": list(self.users.items())})


class PongModel(Model):
    def init(self, options):
        self.ball = {"x": 50, "y": 50, "vx": 1, "vy": 1}
        self.players = {}
        self.score = {"left": 0, "right": 0}


class DocumentEditor(Model):
    def init(self, options):
        self.documents = {}
        self.cursors = {}
        self.subscribe("editor", "cursor", self.update_cursor)

    def add_document(self, doc):
        self.documents[doc["id"]] = doc
        self.save()

    def delete_document(self, key):
        del self.documents[key]
        self.save()

    def update_cursor(self, cursor):
        self.cursors[cursor["view_id"]] = cursor["position"]

    def save(self):
        self.persist_session(lambda: {"documents": self.documents})


class TextEditor(Model):
    def init(self, options):
        self.content = ""
        self.save_timer = None
        self.has_changes = False
        self.subscribe("editor", "text", self.update_text)

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


class SafeModel(Model):
    def init(self, options, persisted=None):
        self.loading_persistent_data = self.loading_persistent_data_errored = False
        if persisted:
            self.loading_persistent_data = True
            try:
                self.from_saved_data(persisted)
                print("Successfully loaded persistent data")
            except Exception as error:
                print("Error loading persistent data:", error)
                self.loading_persistent_data_errored = True
                self.initialize_defaults()
            finally:
                del self.loading_persistent_data
        else:
            self.initialize_defaults()

    def initialize_defaults(self):
        self.documents = {}
        self.metadata = {}

    def save(self):
        if getattr(self, "loading_persistent_data", False) or self.loading_persistent_data_errored:
            return
        self.persist_session(self.to_save_data)

    def from_saved_data(self, persisted):
        if not persisted.get("version"):
            raise ValueError("Missing version in persistent data")
        if persisted["version"] > 2:
            raise ValueError(f"Unsupported version: {persisted['version']}")
        self.documents = dict(persisted["documents"] or [])
        self.metadata = persisted["metadata"] or {}

    def to_save_data(self):
        return {"version": 2, "documents": [[*item] for item in self.documents.items()], "metadata": self.metadata}


class VersionedModel(Model):
    def from_saved_data(self, persisted):
        loaders = {1: self.load_version_1, 2: self.load_version_2, 3: self.load_version_3}
        version = persisted.get("version", 0)
        if version > 3:
            raise ValueError(f"Future version not supported: {version}")
        loaders.get(version, self.load_legacy)(persisted)

    def load_legacy(self, data):
        self.load_version_1(data)

    def load_version_1(self, data):
        self.documents = dict(data["documents"] or [])

    def load_version_2(self, data):
        self.load_version_1(data)
        self.permissions = dict(data["permissions"] or [])

    def load_version_3(self, data):
        self.load_version_2(data)
        self.collaborators = set(data["collaborators"] or [])
        self.last_activity = data["last_activity"] or self.now()

    def to_save_data(self):
        return {
            "version": 3,
            "documents": list(self.documents.items()),
            "permissions": list(self.permissions.items()),
            "collaborators": list(self.collaborators),
            "last_activity": self.last_activity,
        }


class MigrationModel(Model):
    def from_saved_data(self, persisted):
        if persisted["version"] != 1:
            self.documents = dict(persisted["documents"] or [])
            return
        old_documents = persisted["documents"] or []
        self.documents = {}
        for index, old in enumerate(old_documents):
            new = {
                "id": f"doc-{index}",
                "title": old.get("name") or "Untitled",
                "content": old.get("text") or "",
                "created": old.get("timestamp") or self.now(),
                "modified": old.get("timestamp") or self.now(),
            }
            self.documents[new["id"]] = new
        print(f"Migrated {len(old_documents)} documents from v1 to v2")


class DebugModel(Model):
    def save(self):
        data = self.to_save_data()
        print("About to save:", json.dumps(data, indent=2))
        print("Data size:", len(json.dumps(data)), "characters")
        self.persist_session(lambda: data)

    def to_save_data(self):
        return {"version": 1, "documents": []}

    def from_saved_data(self, persisted):
        print("Data keys:", persisted.keys())
        self.validate_persistent_data(persisted)

    def validate_persistent_data(self, data):
        required = ["version", "documents"]
        missing = [key for key in required if key not in data]
        if missing:
            print("Missing required keys:", missing)


class DocumentEditorModel(Model):
    def init(self, options, persisted=None):
        self.has_unsaved_changes = False
        if persisted:
            self.documents = dict(persisted["documents"] or [])
            self.users = dict(persisted["users"] or [])
            self.settings = persisted["settings"] or {}
        else:
            self.documents = {}
            self.users = {}
            self.settings = {"theme": "light", "autosave": True}
        self.setup_autosave()

    def setup_autosave(self):
        if self.settings["autosave"]:
            self.future(30_000).autosave()

    def autosave(self):
        if self.has_unsaved_changes:
            self.save()
            self.has_unsaved_changes = False
        self.setup_autosave()

    def create_document(self, title, content):
        doc = {
            "id": self.generate_id(),
            "title": title,
            "content": content,
            "created": self.now(),
            "modified": self.now(),
        }
        self.documents[doc["id"]] = doc
        self.has_unsaved_changes = True
        self.save()

    def update_document(self, key, changes):
        doc = self.documents.get(key)
        if doc:
            doc.update(changes, modified=self.now())
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


class CanvasModel(Model):
    def init(self, options, persisted=None):
        self.loading_persistent_data = bool(persisted)
        self.loading_errored = False
        try:
            if persisted:
                self.from_saved_data(persisted)
            else:
                self.init_defaults()
        except Exception as error:
            print("Failed to load canvas data:", error)
            self.init_defaults()
            self.loading_errored = True
        finally:
            self.loading_persistent_data = False

    def init_defaults(self):
        self.shapes = []
        self.layers = [{"id": "default", "name": "Layer 1", "visible": True}]
        self.canvas_size = {"width": 800, "height": 600}

    def add_shape(self, shape):
        shape["id"] = self.generate_id()
        shape["created"] = self.now()
        self.shapes.append(shape)
        self.save()

    def delete_shape(self, key):
        index = next((place for place, shape in enumerate(self.shapes) if shape["id"] == key), -1)
        if index >= 0:
            self.shapes.pop(index)
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
        self.shapes = persisted["shapes"] or []
        self.layers = persisted["layers"] or []
        self.canvas_size = persisted["canvas_size"] or {"width": 800, "height": 600}
        print(f"Restored {len(self.shapes)} shapes")
