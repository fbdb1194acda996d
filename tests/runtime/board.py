"""A board that does what a test sends it, on the bench."""

from __future__ import annotations

from typing import Any

from msq_jupyter.runtime.model import Model
from tests.runtime.bench import Bench


class Part(Model):
    def init(self, options):
        self.name = options


class Board(Model):
    def init(self, options, persisted=None):
        self.options = options
        self.persisted = persisted
        self.log: list[Any] = []
        self.speed = 1
        self.handle = None
        self.subscribe("board", "do", self.do)
        self.subscribe(self.session_id, "view-join", self.came)
        self.subscribe(self.session_id, "view-exit", self.went)

    def do(self, steps):
        """Run statements that a test sends: the board is a programmable model."""
        for step in steps:
            name, *args = step
            getattr(self, name)(*args)

    def note(self, *what):
        self.log.append([self.now(), *what])

    def came(self, who):
        self.log.append(["came", who, self.view_count])

    def went(self, who):
        self.log.append(["went", who, self.view_count])

    def later(self, delay, what):
        self.handle = self.future(delay).note(what)

    def repeat(self, every, what):
        self.handle = self.future(every=every).note(what)

    def repeat_until_cancelled(self, every):
        self.handle = self.future(every=every).tick_once()

    def tick_once(self):
        self.note("tick")
        self.handle.cancel()

    def cancel(self):
        self.note("cancelled", self.handle.cancel())

    def cancel_by(self, what):
        self.note("cancelled", self.cancel_future(what))

    def fail(self, message):
        raise RuntimeError(message)

    def hear(self, scope, event, method):
        self.subscribe(scope, event, method)

    def tell(self, scope, event, data):
        self.publish(scope, event, data)

    def heard(self, data):
        self.note("heard", data)

    def heard_too(self, data):
        self.note("heard too", data)

    def stop_hearing(self, data):
        self.note("stop", data)
        self.unsubscribe_all()

    def part(self, name):
        Part.create(name).be_well_known_as(name)

    def end_part(self, name):
        self.well_known_model(name).destroy()

    def roll(self, count):
        self.log.append([self.random() for _ in range(count)])

    def hold(self, value):
        self.held = value

    def hold_bad(self):
        self.pages = [{"handle": object()}]

    def save(self, data):
        self.persist_session(lambda: data)


def do(bench: Bench, *steps: list[Any], **kwargs: Any) -> None:
    bench.publish("board", "do", list(steps), **kwargs)
