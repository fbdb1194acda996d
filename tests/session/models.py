"""Models that the session tests share."""

from __future__ import annotations

from msq_jupyter import Model


class Counter(Model):
    def init(self, options, persisted=None):
        self.count = persisted["count"] if persisted else 0
        self.speed = 1
        self.title = "counter"
        self.people = []
        self.subscribe("counter", "add", self.add)
        self.subscribe("counter", "fail", self.fail)
        self.subscribe("counter", "hold", self.hold)
        self.subscribe(self.session_id, "view-join", self.came)

    def add(self, amount):
        self.count += amount
        self.save()
        self.publish("counter", "changed", self.count)

    def fail(self, message):
        raise RuntimeError(message)

    def hold(self, what):
        self.held = {1, 2}.__iter__ if what == "bad" else what

    def came(self, who):
        self.people.append(who)

    def save(self):
        self.persist_session(lambda: {"version": 1, "count": self.count})


class EditedCounter(Model):
    def init(self, options, persisted=None):
        self.count = persisted["count"] if persisted else 0
        self.additions = persisted.get("additions", 0) if persisted else 0
        self.subscribe("counter", "add", self.add)

    def add(self, amount):
        self.count += amount
        self.additions += 1
        self.persist_session({"version": 2, "count": self.count, "additions": self.additions})


class Diary(Model):
    def init(self, options):
        self.begun, self.lines = self.now(), []
        self.subscribe("diary", "write", self.write)

    def write(self, text):
        self.lines.append((self.now(), text, self.random()))
        self.publish("diary", "written", text)


class Picky(Model):
    def init(self, options, persisted=None):
        if persisted:
            raise KeyError("wanted")


class Broken(Model):
    def init(self, options):
        self.ratio = 1 / 0


class Unencodable(Model):
    def init(self, options):
        self.file = {"handle": object()}


class Mistaken(Model):
    """Makes the mistakes that authors make."""

    def init(self, options):
        self.done = 0
        self.child = None
        self.subscribe("do", "*", self.do)

    def do(self, name):
        getattr(self, name)()
        self.done += 1

    def nothing(self):
        pass

    def set_id(self):
        self.id = "task-1"

    def half_a_future(self):
        self.timer = self.future(1000)

    def destroy_root(self):
        self.destroy()

    def steal_root(self):
        Child.create().be_well_known_as("modelRoot")

    def use_the_dead(self):
        child = Child.create()
        child.destroy()
        child.listen()

    def keep_the_dead(self):
        self.child = Child.create()
        self.child.destroy()

    def hold_decorated(self):
        self.callback = self.renamed

    def exit(self):
        raise SystemExit(3)

    def tell_decorated(self):
        self.publish("out", "x", self.renamed)

    def save_much(self):
        self.persist_session({"text": "x" * 10_000})

    def tick_bad(self):
        self.future(1).hold_bad()

    def hold_bad(self):
        self.bad = object()


def _unnamed(function):
    def other_name(self):
        return function(self)

    return other_name


Mistaken.renamed = _unnamed(Mistaken.nothing)


class Child(Model):
    def listen(self):
        self.subscribe("x", "y", "listen")
