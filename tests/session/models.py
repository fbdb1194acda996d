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
