"""Follows the catalogue: what is activated is loaded where its backend can, what is deactivated is unloaded."""

import asyncio
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from typing import Any

from modelyard.control.lifecycle import backends, queries
from modelyard.control.lifecycle.backends import CannotLoad, NotSupported, Place
from modelyard.control.lifecycle.bases import Bases
from modelyard.control.lifecycle.lanes import LOAD, MOST_WAITING, UNLOAD, Job, Lane
from modelyard.control.transaction import Actor, Changes
from modelyard.core import ids, log
from modelyard.core.clock import now
from modelyard.core.errors import Kind, Problem
from modelyard.dialects.memory import UNLOADED
from modelyard.upstream.client import Client

_log = log.get(__name__)

BEGUN = {LOAD: queries.LOADING, UNLOAD: queries.UNLOADING}
DONE = {LOAD: queries.LOADED, UNLOAD: queries.UNLOADED}
SUPERSEDED = "A newer request for this model took its place."
TOO_MANY = "Too many models wait for this connection already."


class Lifecycle:
    """Loads and unloads in the background. Routes tell it after their change was committed.

    `timeout` are the seconds that one load may take, `process` is a name by which a restarted process knows what it had
    left unfinished.
    """

    def __init__(
        self,
        changes: Changes,
        client: Client,
        *,
        bases: Bases,
        timeout: float,
        process: str,
    ) -> None:
        self._changes = changes
        self._database = changes.database
        self._client = client
        self._bases = bases
        self._timeout = timeout
        self._process = process
        self._toggled: dict[str, tuple[str, Actor]] = {}
        self._woken = asyncio.Event()
        self._lanes: dict[str, Lane] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def activated(self, actor: Actor, base_models: Collection[str]) -> None:
        """These base models have a row that was made active just now (their own ids, or what a preset stands on)."""
        self._toggle(LOAD, actor, base_models)

    def deactivated(self, actor: Actor, base_models: Collection[str]) -> None:
        """These base models lost an active row: each is unloaded unless another active row still uses it."""
        self._toggle(UNLOAD, actor, base_models)

    def _toggle(self, kind: str, actor: Actor, base_models: Collection[str]) -> None:
        for base_model in base_models:
            name = self._bases.offered_name(base_model) or base_model
            self._toggled.pop(name, None)
            self._toggled[name] = (kind, actor)
        self._woken.set()

    async def run(self) -> None:
        """Work for ever. When it is cancelled, what is under way is given up and marked so."""
        clock = asyncio.get_running_loop().time
        try:
            beat = clock()
            await self._beat()
            while True:
                with suppress(TimeoutError):
                    async with asyncio.timeout_at(beat + queries.HEARTBEAT_SECONDS):
                        await self._woken.wait()
                if clock() >= beat + queries.HEARTBEAT_SECONDS:
                    beat = clock()
                    await self._beat()
                self._woken.clear()
                await self._follow()
        except asyncio.CancelledError:
            await self._give_up()
            raise

    async def _beat(self) -> None:
        """Say that the jobs at hand are alive; what else this process has begun, or one that is gone, was interrupted."""
        async with self._database.write() as connection:
            await queries.keep_alive(connection, self._process, [job.id for job in self._jobs()])

    async def _give_up(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for job in self._jobs():
            if not job.ended.done():
                job.ended.set_result((queries.FAILED, queries.INTERRUPTED))
        try:
            async with self._database.write() as connection:
                await queries.interrupt(connection, self._process)
        except Exception as error:  # noqa: BLE001 - the database is away; the next start does it
            _log.error("unfinished jobs could not be marked", error=repr(error))

    def _jobs(self) -> list[Job]:
        return [job for lane in self._lanes.values() for job in (*lane.running.values(), *lane.waiting.values())]

    async def _follow(self) -> None:
        """Make jobs of what was toggled since the last time."""
        toggled, self._toggled = self._toggled, {}
        if not toggled:
            return
        try:
            used = await self._bases.in_use(toggled)
            load = {name: actor for name, (kind, actor) in toggled.items() if kind == LOAD and name in used}
            left = {name: actor for name, (kind, actor) in toggled.items() if kind == UNLOAD and name not in used}
            await self._submit([*await self._jobs_to_load(load), *await self._jobs_to_unload(left)])
        except Exception:  # the database is away: nothing of it is lost, `core.tasks` runs us again
            self._toggled = {**toggled, **self._toggled}
            self._woken.set()
            raise

    async def _followed(self, wanted: Mapping[str, Actor]) -> list[tuple[str, list[Place]]]:
        """Where these base models are offered by connections that follow activation."""
        able = {key: row for key, row in self._bases.able().items() if row.loads}
        found = []
        for number, name in enumerate(wanted):
            found.append((name, self._bases.places(name, able)))
            if number % 100 == 99:
                await asyncio.sleep(0)  # thousands may be toggled at once
        return found

    async def _jobs_to_load(self, wanted: Mapping[str, Actor]) -> list[Job]:
        """A job for one place of each: one host is enough."""
        found = await self._followed(wanted)
        return [self._job(LOAD, name, places[0], wanted[name]) for name, places in found if places]

    async def _jobs_to_unload(self, left: Mapping[str, Actor]) -> list[Job]:
        """A job for every place where one of these models is in memory, or on its way there."""
        found = [(name, place) for name, places in await self._followed(left) for place in places]
        rows = {place.row.id: place.row for _, place in found}
        asked = (backends.states(self._client, row) for row in rows.values())
        told = dict(zip(rows, await asyncio.gather(*asked), strict=True))
        jobs = []
        for name, place in found:
            known = told[place.row.id]
            is_there = known is None or backends.state_of(place.model, known) != UNLOADED
            if is_there or self._lane(place).is_wanted(LOAD, place.model):
                jobs.append(self._job(UNLOAD, name, place, left[name]))
        return jobs

    def _job(self, kind: str, model_id: str, place: Place, actor: Actor, *, asked: bool = False) -> Job:
        return Job(id=ids.call_id(), kind=kind, model_id=model_id, place=place, actor=actor, asked=asked)

    def _lane(self, place: Place) -> Lane:
        return self._lanes.setdefault(place.row.id, Lane())

    async def _submit(self, jobs: Iterable[Job]) -> None:
        """Write the jobs, let them wait, and begin those for which there is room."""
        fresh, refused = self._admitted(jobs)
        rows = [self._row(job, BEGUN[job.kind]) for job in fresh]
        rows += [self._row(job, queries.FAILED, TOO_MANY) for job in refused[: queries.KEPT]]
        if rows:
            async with self._database.write() as connection:
                await queries.add(connection, rows)
        for job in refused:
            job.ended.set_result((queries.FAILED, TOO_MANY))
        for job in fresh:
            superseded = self._lane(job.place).put(job)
            if superseded is not None:
                await self._end(superseded, queries.FAILED, SUPERSEDED)
        for lane in list(self._lanes.values()):
            self._begin(lane)

    def _admitted(self, jobs: Iterable[Job]) -> tuple[list[Job], list[Job]]:
        """(those that may wait, those that there is no room for). What is wanted already is in neither."""
        fresh: list[Job] = []
        refused: list[Job] = []
        room: dict[str, int] = {}
        for job in jobs:
            lane, where = self._lane(job.place), job.place.row.id
            if not job.asked and lane.is_wanted(job.kind, job.place.model):
                continue
            takes = 0 if job.place.model in lane.waiting else 1
            left = room.setdefault(where, MOST_WAITING - len(lane.waiting))
            room[where] = max(0, left - takes)
            (fresh if left >= takes else refused).append(job)
        return fresh, refused

    def _row(self, job: Job, state: str, reason: str | None = None) -> dict[str, Any]:
        moment = now()
        return {
            "id": job.id,
            "kind": job.kind,
            "model_id": job.model_id,
            "connection_id": job.place.row.id,
            "upstream_model": job.place.model,
            "state": state,
            "reason": reason,
            "user_id": job.actor.user_id,
            "process": self._process,
            "created_at": moment,
            "updated_at": moment,
        }

    def _begin(self, lane: Lane) -> None:
        for job in lane.startable():
            task = asyncio.get_running_loop().create_task(self._work(lane, job), name=f"{job.kind} {job.model_id}")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _work(self, lane: Lane, job: Job) -> None:
        try:
            state, reason = await self._do(job)
            await self._end(job, state, reason)
            if job.kind == LOAD and not job.asked and not await self._bases.in_use([job.model_id]):
                # It was deactivated meanwhile, perhaps by another process, which could not see that it was on its way.
                await self._submit(await self._jobs_to_unload({job.model_id: job.actor}))
        except Exception as error:  # noqa: BLE001 - the database is away; the job is seen as interrupted later
            _log.error("the end of a job could not be written", job=job.id, error=repr(error))
        finally:
            lane.end(job)
            if not job.ended.done():
                job.ended.set_result((queries.FAILED, queries.INTERRUPTED))
        self._begin(lane)

    async def _do(self, job: Job) -> tuple[str, str | None]:
        """(state, reason) in which it ended."""
        work = backends.load if job.kind == LOAD else backends.unload
        try:
            await work(self._client, job.place, self._timeout)
        except NotSupported as reason:
            return queries.NOT_SUPPORTED, str(reason)
        except CannotLoad as reason:
            _log.warning(
                "a model could not be loaded or unloaded",
                kind=job.kind,
                model=job.model_id,
                connection=job.place.row.name,
                address=job.place.row.base_url,
                reason=str(reason),
            )
            return queries.FAILED, str(reason)
        except Exception as error:  # noqa: BLE001 - a connection that cannot be used as it is stored
            _log.error("a job failed", job=job.id, error=repr(error))
            return queries.FAILED, "The connection cannot be used as it is set up."
        return DONE[job.kind], None

    async def _end(self, job: Job, state: str, reason: str | None) -> None:
        """Write how a job ended; what a person asked for is in the audit log, too."""
        if job.asked and state == DONE[job.kind]:
            async with self._changes.begin(job.actor) as change:
                await queries.finish(change.connection, job.id, state, reason)
                await change.audit(f"model.{state}", job.model_id, description=f"on {job.place.row.name}")
        else:
            async with self._database.write() as connection:
                await queries.finish(connection, job.id, state, reason)
        if not job.ended.done():
            job.ended.set_result((state, reason))

    async def load(self, actor: Actor, model: str) -> dict[str, Any]:
        """Begin to load what a person named, on one host. The job as it is kept. Raises Problem."""
        base = await self._bases.base_of(model)
        places = sorted(self._places_by_hand(base), key=lambda place: not place.row.loads)
        job = self._job(LOAD, base, places[0], actor, asked=True)
        await self._submit([job])
        state, reason = job.ended.result() if job.ended.done() else (BEGUN[LOAD], None)
        return self._row(job, state, reason)

    async def unload(self, actor: Actor, model: str) -> None:
        """Unload what a person named, from every host, and wait until it is done. Raises Problem."""
        base = await self._bases.base_of(model)
        jobs = [self._job(UNLOAD, base, place, actor, asked=True) for place in self._places_by_hand(base)]
        await self._submit(jobs)
        try:
            async with asyncio.timeout(self._timeout):
                ended = [await asyncio.shield(job.ended) for job in jobs]
        except TimeoutError:
            told = f"It was not unloaded within {self._timeout:g} s; this goes on in the background."
            raise Problem(Kind.UPSTREAM_TIMEOUT, told) from None
        for job, (state, reason) in zip(jobs, ended, strict=True):
            if state == queries.FAILED:
                raise Problem(Kind.UPSTREAM_FAILED, f"Not unloaded from {job.place.row.name}: {reason}")
        if all(state == queries.NOT_SUPPORTED for state, _ in ended):
            raise Problem(Kind.INVALID_REQUEST, _no_backend_can(base), param="model")

    def _places_by_hand(self, base: str) -> list[Place]:
        places = self._bases.places(base, self._bases.able())
        if not places:
            raise Problem(Kind.INVALID_REQUEST, _no_backend_can(base), param="model")
        return places


def _no_backend_can(base: str) -> str:
    return f"No backend that offers {base} can load or unload models."
