"""Models that the tests of bindings share."""

from __future__ import annotations

from dataclasses import dataclass

from msq_jupyter import Model
from msq_jupyter.ready import PerUser, SharedText


@dataclass
class Pen:
    colour: str = "red"
    width: int = 1


class Part(Model):
    def init(self, options, persisted=None):
        self.level = 3
        self.heard = []

    def link_changed(self, path):
        self.heard.append(path)


class Studio(Model):
    def init(self, options, persisted=None):
        self.speed = 1
        self.settings = {"speed": 1, "deep": {"x": 0}, 7: "seven"}
        self.votes = {"yes": 0, "no": 0}
        self.queue = ["a", "b"]
        self.pen = Pen()
        self.part = Part.create()
        self.volume = PerUser.create({"default": 5})
        self.notes = SharedText.create()
        self.heard = []
        self.subscribe("studio", "vote", self.vote)
        self.subscribe("studio", "forget", self.forget)

    def vote(self, choice):
        self.votes[choice] = self.votes.get(choice, 0) + 1

    def forget(self, key):
        del self.settings[key]

    def link_changed(self, path):
        self.heard.append(path)


class EditedStudio(Studio):
    def init(self, options, persisted=None):
        super().init(options, persisted)
        del self.queue
        self.speed = 4
