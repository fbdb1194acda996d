"""Each way in which the reference system loses saved data, which users of it know: here it does not.

These have a test elsewhere:

* the uploader vanishes: `test_5_5_when_the_one_who_should_save_vanishes_another_one_does`;
* the last one leaves while a save waits: `test_5_4_rapid_saves_are_few_versions_and_the_last_content_is_saved`;
* a save in `init`: `test_5_4_a_save_during_init_counts`;
* data that JSON would change silently: `test_5_2_a_set_is_refused_with_path_and_remedy_and_the_session_goes_on`;
* a synchronizer that keeps nothing: `test_5_3_a_save_acknowledged_before_the_kill_is_there_after_it`;
* data that cannot be read is overwritten: `test_5_8_persisted_data_that_init_cannot_read_says_the_ways_on`.
"""

from __future__ import annotations

from msq_jupyter import Model
from msq_jupyter.testing import CALM, Limits, Room, Simulation
from tests.faults.virtual import EditedPage, Heir, Page


def write(room: Room, times: int = 1) -> None:
    for _ in range(times):
        room.publish("page", "write", 2)
        room.run(100)


def counts(room: Room) -> list[int]:
    return [version.data["count"] for version in room.versions]


def calm(**limits: int) -> Simulation:
    return Simulation(1, weather=CALM, limits=Limits(**limits))


def test_5_3_an_upload_that_failed_is_tried_again_though_the_same_is_saved_again():
    # There it counts as saved as soon as it is hashed, whatever becomes of the upload.
    simulation = calm()
    room = simulation.room(Page, 2)
    simulation.synchronizer.disk_fails = True
    write(room)
    assert simulation.counters["disk failures"] == 1
    room.settle()
    assert counts(room) == [1]


def test_5_4_pending_content_passes_to_those_who_come_later():
    # There it is in the memory of those who were there when it was saved, and in no snapshot.
    simulation = calm(snapshot_entries=2, tail_entries=1)
    room = simulation.room(Page, 1, persist_interval_ms=10_000)
    write(room, 9)
    (ada,) = room.participants
    (ben,) = room.join()
    assert simulation.counters["starts from a snapshot"] >= 1
    assert counts(room) == [1]
    room.kill(ada)
    simulation.run_calmly(20_000)
    assert not ben.has_pending_save
    assert counts(room) == [1, 9]


def test_5_4_throttling_takes_real_time_and_not_as_long_as_session_time_stands_still():
    # There it is a future message: without ticks it does not come.
    simulation = calm()
    room = simulation.room(Page, 1, tick_rate=1 / 30, persist_interval_ms=3_000)
    write(room, 2)
    assert counts(room) == [1]
    simulation.run_calmly(4_000)  # no tick in that time
    assert counts(room) == [1, 2]


def test_5_7_code_that_is_edited_back_does_not_overwrite_what_was_saved_since():
    # There the old session is resumed as it was, and its next save takes the place of the newer one.
    simulation = calm()
    room = simulation.room(Page, 2, persist_interval_ms=0)
    write(room, 2)
    room.edit(EditedPage)
    write(room, 3)
    room.edit(Page)
    assert room.model.count == 5
    write(room)
    room.settle()
    assert counts(room) == [1, 2, 3, 4, 5, 6]


def test_5_6_two_code_versions_at_once_keep_the_data_of_both():
    # There they share one place, and the last one wins.
    simulation = calm()
    pages = simulation.room(Page, 1, persist_interval_ms=0)
    edited = simulation.room(EditedPage, 1, persist_interval_ms=0)
    for _ in range(3):
        write(pages)
        write(edited)
    pages.settle()
    assert sorted(counts(pages)) == [1, 1, 2, 2, 3, 3]


class Careless(Model):
    def init(self, options, persisted=None):
        self.notes = persisted["notes"] if persisted else []
        self.subscribe("notes", "add", self.add)

    def add(self, note):
        self.notes.append(note)
        self.persist_session(self.collect)

    def collect(self):
        if self.notes[-1] == "raise":
            raise RuntimeError("on purpose")
        return {"notes": {"a", "b"}} if self.notes[-1] == "wrong type" else {"notes": self.notes}


def test_5_2_a_collector_that_raises_or_returns_the_wrong_type_ends_nothing():
    # There it ends the connection of every participant.
    simulation = calm()
    room = simulation.room(Careless, 2, persist_interval_ms=0, raise_errors=False)
    for note in ("one", "raise", "wrong type", "two"):
        room.publish("notes", "add", note)
        room.run(100)
    room.assert_converged()
    assert [type(error.error).__name__ for error in room.participants[0].errors] == [
        "RuntimeError",
        "PersistenceTypeError",
    ]
    assert [version.data["notes"][-1] for version in room.versions] == ["one", "two"]
    assert simulation.counters["resumes"] == 0


def test_5_4_everybody_who_knew_is_killed_and_it_is_there():
    # There what waited to be uploaded dies with them.
    simulation = calm()
    room = simulation.room(Page, 3, persist_interval_ms=25_000)
    write(room, 5)
    simulation.run_calmly(1_000)
    for person in list(room.participants):
        room.kill(person)
    heir = simulation.room(Heir, 1)
    assert heir.model.count == 5
