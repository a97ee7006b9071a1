"""What waits and what is under way, connection by connection. In memory, bounded; the newest wish for a model wins."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field

from modelyard.control.lifecycle.backends import Place
from modelyard.control.transaction import Actor

LOAD = "load"
UNLOAD = "unload"

# Backends load one model after the other anyway; a second keeps a quick unload from waiting behind a slow load.
AT_ONCE = 2
MOST_WAITING = 100


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Job:
    """One model to load or unload at one place. `ended` is (state, reason). `asked`: by a person, not by a toggle."""

    id: str
    kind: str
    model_id: str
    place: Place
    actor: Actor
    asked: bool
    ended: "asyncio.Future[tuple[str, str | None]]" = field(default_factory=asyncio.Future)


class Lane:
    """The jobs of one connection. One job at a time for each model, at most AT_ONCE together."""

    def __init__(self) -> None:
        self.waiting: dict[str, Job] = {}
        self.running: dict[str, Job] = {}

    def is_wanted(self, kind: str, model: str) -> bool:
        """True when the newest job for this model is of that kind already."""
        newest = self.waiting.get(model) or self.running.get(model)
        return newest is not None and newest.kind == kind

    def put(self, job: Job) -> Job | None:
        """Let a job wait. The one that waited for the same model and has lost its sense."""
        superseded = self.waiting.pop(job.place.model, None)
        self.waiting[job.place.model] = job
        return superseded

    def startable(self) -> Iterator[Job]:
        """The jobs that may begin now, in the order in which they came. They count as running from here on."""
        for model, job in list(self.waiting.items()):
            if len(self.running) >= AT_ONCE:
                return
            if model not in self.running:
                del self.waiting[model]
                self.running[model] = job
                yield job

    def end(self, job: Job) -> None:
        """A job that ran is over."""
        self.running.pop(job.place.model, None)
