"""The model that everybody in a soak shares: it notices an event that is missing, comes twice or in another order."""

from __future__ import annotations

from msq_jupyter import Model

BEAT_MS = 500
#: How much of what was said is kept.
LINES_MAX = 20


class Desk(Model):
    """Counts what each member says.

    Attributes:
        heard: number of the newest event, by the member that sent it; members number theirs from 1.
        wrong: events that were not the next one of their sender: sender, expected number, number that came.
        lines: the newest texts.
        beats: how often the repeated future message came.
        echoes: how many future messages came that answer an event.
        people: how often somebody came, and went.
    """

    def init(self, options, persisted=None):
        self.heard = {}
        self.wrong = []
        self.lines = []
        self.beats = 0
        self.echoes = 0
        self.people = {"came": 0, "went": 0}
        self.is_working = False
        self.subscribe("desk", "say", self.say)
        self.subscribe("desk", "work", self.work)
        self.subscribe("desk", "rest", self.rest)
        self.subscribe(self.session_id, "view-join", self.came)
        self.subscribe(self.session_id, "view-exit", self.went)
        self.work()

    def work(self, _=None):
        if not self.is_working:
            self.is_working = True
            self.future(every=BEAT_MS).beat()

    def rest(self, _=None):
        """From here on nothing changes with time alone, so that replicas can be compared; and that is saved."""
        self.is_working = False
        self.cancel_future("*")
        self.save()

    def beat(self):
        self.beats += self.random_int(1, 6)

    def say(self, data):
        sender, number = data["sender"], data["number"]
        expected = self.heard.get(sender, 0) + 1
        if number != expected:
            self.wrong.append([sender, expected, number])
        self.heard[sender] = number
        self.lines = [*self.lines[1 - LINES_MAX :], data["text"][:200]]
        if self.is_working and self.random() < 0.3:
            self.future(self.random() * 5_000).echo()
        if number % 5 == 0:
            self.save()

    def echo(self):
        self.echoes += 1

    def came(self, who):
        self.people["came"] += 1

    def went(self, who):
        self.people["went"] += 1

    def save(self):
        self.persist_session(lambda: {"version": 1, "heard": self.heard, "lines": self.lines, "echoes": self.echoes})
