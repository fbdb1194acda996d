"""`PersistentModel`: a root model whose data outlives its code, with migrations between the shapes the data has had.

    class Notes(PersistentModel):
        schema_version = 2
        autosave_ms = 30_000

        def defaults(self, options):
            self.documents = {}

        def to_save_data(self):
            return {"documents": self.documents}

        def from_save_data(self, data):
            self.documents = data["documents"]

        @migration(1)
        def name_the_untitled(self, data):
            for document in data["documents"].values():
                document.setdefault("title", "Untitled")
            return data

Saved is what `to_save_data` returns, with `"version": schema_version` added. When a session begins with saved data,
`"version"` is taken off (data without one is of version 0), the steps from there to `schema_version` run, and
`from_save_data` gets the result; when there is nothing saved, `defaults` runs instead. To subscribe to events, extend
`init` and call `super().init(options, persisted)` first.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any, ClassVar, TypeVar

from msq_jupyter.errors import ArgumentError, MigrationMissing, SchemaError, SchemaTooNew
from msq_jupyter.runtime.happenings import Migrated
from msq_jupyter.runtime.model import ROOT_NAME, Model

F = TypeVar("F", bound=Callable[..., Any])

#: What `migration` leaves on a function.
_STEP_ATTRIBUTE = "_msq_migration_from"
#: The key of the schema version in saved data.
_VERSION_KEY = "version"


def migration(from_version: int) -> Callable[[F], F]:
    """Mark a method `(self, data) -> data` as the step from one schema version to the next.

    Args:
        from_version: the version of the data it is given; it returns data of `from_version + 1`. 0 is data that was
            saved without a version.

    Raises:
        ArgumentError: not an integer of 0 or more; shows the line that works.
    """
    if type(from_version) is not int or from_version < 0:
        raise ArgumentError(
            f"migration: expected the version to migrate from, 0 or more, got {from_version!r}: write @migration(1) "
            "above a method def name_of_the_step(self, data):"
        )

    def mark(step: F) -> F:
        if not callable(step):
            raise ArgumentError(f"migration: expected a method, got {step!r}: @migration comes first, above all others")
        setattr(step, _STEP_ATTRIBUTE, from_version)
        return step

    return mark


class PersistentModel(Model):
    """A root model that saves itself, loads itself, and migrates what older code saved.

    Class attributes:

    * `schema_version`: the version of the data `to_save_data` returns, 1 or more; raise it with every migration.
    * `autosave_ms`: milliseconds between two saves, or a `timedelta`; None to save by calling `save` only. Unchanged
      data is not saved again.
    """

    schema_version: ClassVar[int] = 1
    autosave_ms: ClassVar[float | timedelta | None] = None
    #: Names of the methods that migrate, by the version they begin with, inherited ones included.
    _migrations: ClassVar[dict[int, str]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        _check_settings(cls)
        cls._migrations = _migrations_of(cls)

    # --- what a subclass writes ----------------------------------------------------------------------------------

    def defaults(self, options: Any) -> None:
        """Set up a model for which nothing was saved; a subclass overrides it.

        Args:
            options: what `Session.join` was given.
        """

    def to_save_data(self) -> dict[str, Any]:
        """What must outlive the code, as a JSON object; a subclass overrides it. `"version"` is added to it."""
        raise self._not_written("to_save_data(self)", 'return {"items": self.items}')

    def from_save_data(self, data: Any) -> None:
        """Set up a model from what was saved; a subclass overrides it.

        Args:
            data: what `to_save_data` returned, migrated to `schema_version`.
        """
        raise self._not_written("from_save_data(self, data)", 'self.items = data["items"]')

    # --- what it gets --------------------------------------------------------------------------------------------

    def init(self, options: Any, persisted: Any = None) -> None:
        """Load what was saved, or begin with the defaults. A subclass that extends it calls it first.

        Args:
            options: what `Session.join` was given.
            persisted: saved data, or None.

        Raises:
            SchemaTooNew: newer code saved the data.
            MigrationMissing: there is no step from one of the versions on the way.
            SchemaError: a step returned nothing.
        """
        self._load_state = "loading"
        try:
            if persisted is None:
                self.defaults(options)
            else:
                self.from_save_data(self._migrated(persisted))
        except BaseException:
            self._load_state = "failed"
            raise
        self._load_state = "loaded"
        if self.autosave_ms is not None:
            self.future(every=self.autosave_ms).save()

    @property
    def load_failed(self) -> bool:
        """Whether loading failed, and an `init` that extends this one caught it; then nothing is saved."""
        return self.__dict__.get("_load_state") == "failed"

    def save(self) -> bool:
        """Save now; from any model: `self.well_known_model("modelRoot").save()`.

        Does nothing while data is being loaded, and after that failed: good data must not be overwritten.

        Returns:
            Whether the data was taken; also if it is what was saved last.

        Raises:
            SchemaError: `to_save_data` returned no dict, or a version of its own.
            PersistenceTypeError: it returned something that is not JSON; names the path and the remedy.
        """
        root = self.well_known_model(ROOT_NAME)
        if root is not self and isinstance(root, PersistentModel):
            return root.save()
        state = self.__dict__.get("_load_state")
        if state is None:
            kind = type(self).__name__
            raise SchemaError(
                f"{kind}.init did not load what was saved, so saving would overwrite it: begin {kind}.init with "
                "super().init(options, persisted)"
            )
        if state != "loaded":
            return False
        self.persist_session(self._versioned)
        return True

    # --- inside --------------------------------------------------------------------------------------------------

    def _versioned(self) -> dict[str, Any]:
        kind = type(self).__name__
        data = self.to_save_data()
        if type(data) is not dict:
            raise SchemaError(
                f"{kind}.to_save_data: expected a dict such as {{'items': self.items}}, got {type(data).__name__}"
            )
        if data.get(_VERSION_KEY, self.schema_version) != self.schema_version:
            raise SchemaError(
                f'{kind}.to_save_data: "version" is {data[_VERSION_KEY]!r}, and schema_version is '
                f'{self.schema_version}: leave "version" out, it is added; use another key for a version of your own'
            )
        return {_VERSION_KEY: self.schema_version, **data}

    def _migrated(self, persisted: Any) -> Any:
        kind, target = type(self).__name__, self.schema_version
        version, data = _split(kind, persisted)
        if version > target:
            raise SchemaTooNew(kind, version, target)
        for step in range(version, target):
            name = self._migrations.get(step)
            if name is None:
                raise MigrationMissing(kind, step, version, target)
            data = getattr(self, name)(data)
            if data is None:
                raise SchemaError(
                    f"{kind}.{name}, the migration from version {step}, returned None: end it with return data"
                )
            self._replica().happenings.append(Migrated(kind, name, step))
        return data

    def _not_written(self, signature: str, line: str) -> SchemaError:
        kind = type(self).__name__
        return SchemaError(f"{kind} does not say what to save: write def {signature}: {line} in {kind}")


def _split(kind: str, persisted: Any) -> tuple[int, Any]:
    """The schema version of saved data, and the data without it."""
    if type(persisted) is not dict or _VERSION_KEY not in persisted:
        return 0, persisted
    version = persisted[_VERSION_KEY]
    if type(version) is not int or version < 0:
        raise SchemaError(
            f'{kind}: expected saved data whose "version" is an integer of 0 or more, got {version!r}: it is the data '
            "of another program; migrate it by hand in init"
        )
    return version, {key: value for key, value in persisted.items() if key != _VERSION_KEY}


# --- when a class is defined -------------------------------------------------------------------------------------


def _check_settings(cls: type[PersistentModel]) -> None:
    version, autosave_ms = cls.schema_version, cls.autosave_ms
    if type(version) is not int or version < 1:
        raise SchemaError(f"{cls.__name__}.schema_version: expected an integer of 1 or more, got {version!r}")
    if isinstance(autosave_ms, timedelta):
        autosave_ms = autosave_ms / timedelta(milliseconds=1)
    if autosave_ms is not None and not (type(autosave_ms) in (int, float) and 0 < autosave_ms < float("inf")):
        raise SchemaError(
            f"{cls.__name__}.autosave_ms: expected more than 0 milliseconds, a timedelta or None, "
            f"got {cls.autosave_ms!r}"
        )


def _migrations_of(cls: type[PersistentModel]) -> dict[int, str]:
    """The steps of a class and its bases; a method that overrides a step of the same name replaces it.

    Raises:
        SchemaError: two steps from one version, a gap between steps, or a step from `schema_version` or later.
    """
    names = dict.fromkeys(name for base in cls.__mro__ for name in vars(base))
    steps: dict[int, str] = {}
    for name in names:
        step = getattr(getattr(cls, name, None), _STEP_ATTRIBUTE, None)
        if step is None:
            continue
        if step in steps:
            raise SchemaError(
                f"{cls.__name__} has two migrations from version {step}, {steps[step]} and {name}: keep one"
            )
        steps[step] = name
    kind, target = cls.__name__, cls.schema_version
    if steps and max(steps) >= target:
        raise SchemaError(
            f"{kind}.{steps[max(steps)]} migrates from version {max(steps)}, and schema_version is {target}: "
            f"write schema_version = {max(steps) + 1} in {kind}"
        )
    for step in range(min(steps, default=target), target):
        if step not in steps:
            raise SchemaError(
                f"{kind} has migrations from version {min(steps)} on, but none from version {step} to {step + 1}: "
                f"write a method with @migration({step}), or set schema_version to {step}"
            )
    return dict(sorted(steps.items()))
