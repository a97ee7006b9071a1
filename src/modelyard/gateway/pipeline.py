"""The one straight line that every call takes, whatever its dialect or endpoint.

    resolve -> authorise -> overlay the preset -> limit (reserve) -> route
            -> for each target until the first byte: send -> relay -> settle

`run` is the only caller of the steps, so no endpoint can forget one. A call reads one snapshot throughout and runs no
SQL. The first events from upstream are the commit point: before them the next target may be tried, after them never.
"""

import asyncio
import random
import time
from collections import deque
from typing import NamedTuple

from modelyard.canonical.chat import ChatRequest
from modelyard.canonical.record import ERROR, OK, CallRecord
from modelyard.canonical.snapshot import Limits, Model, Principal, Published, Snapshot, Target
from modelyard.core.errors import Kind, Problem
from modelyard.dialects.dialect import CHAT, COUNT, OTHER, Asker, Operation
from modelyard.gateway.arena import tell_choice
from modelyard.gateway.books import OpenBooks
from modelyard.gateway.call import JSON_TYPE, Call, Reply
from modelyard.gateway.counting import estimated
from modelyard.gateway.dry_run import explain
from modelyard.gateway.fetching import NOT_FETCHED, Fetcher
from modelyard.gateway.gate import authenticate, authorise, chosen, find, resolve
from modelyard.gateway.headers import of_stream, of_whole, told, with_callers
from modelyard.gateway.journal import Journal
from modelyard.gateway.lanes import Asked, HubLane, Lane, Whole, lane_to, reach, remote_media
from modelyard.gateway.limits import Item, Limiter, Refusal, Reservation
from modelyard.gateway.losses import LOSSY, record_of, refused_loss
from modelyard.gateway.relay import OpenStream, Relay, how_cancelled, open_stream, streams
from modelyard.gateway.stored import StoredResponses
from modelyard.gateway.upstream_errors import cleaned, problem_of
from modelyard.policy.access import in_scope, may_use
from modelyard.policy.routing import REFUSED_CREDENTIAL, RETRYABLE_STATUS, Strategy, fallbacks
from modelyard.upstream.client import Answer, Client

# A whole answer is held in memory until its usage is read.
MAX_ANSWER_BYTES = 256 * 1024 * 1024

# What a call without `max_tokens` reserves of a token limit; settled to the truth afterwards.
ASSUMED_OUTPUT_TOKENS = 4096
BYTES_PER_TOKEN = 4

SYSTEM = "system"

# Why a target is passed over, by the code of the problem: another may take the request as it is.
PASSED_OVER = frozenset({LOSSY, NOT_FETCHED})


class Attempt(NamedTuple):
    """One target to try, with what the call asks of the model that it belongs to."""

    asked: Asked
    target: Target


class Exchange(NamedTuple):
    """What a target answered: a stream that has begun, or a whole answer."""

    attempt: Attempt
    lane: Lane
    answer: Answer
    got: OpenStream | Whole
    waited: float
    """Seconds spent waiting for backends."""


class Pipeline:
    """The data plane of one process. `system_limits` bounds the whole process (MAX_CONCURRENT_REQUESTS)."""

    def __init__(
        self,
        published: Published,
        client: Client,
        limiter: Limiter,
        journal: Journal,
        strategy: Strategy,
        fetcher: Fetcher,
        stored: StoredResponses,
        system_limits: Limits | None = None,
    ) -> None:
        self._published = published
        self._client = client
        self._limiter = limiter
        self._journal = journal
        self._strategy = strategy
        self._fetcher = fetcher
        self._stored = stored
        self._system_limits = system_limits

    async def run(self, call: Call) -> Reply:
        """Answer one call. Raises Problem for whatever keeps it from being answered."""
        snapshot = self._published.snapshot
        principal = authenticate(snapshot, call.digest, time.time(), call.dialect.name)
        named = authorise(principal, resolve(snapshot, call.head.model), snapshot, call.head.model)
        model = chosen(principal, named, snapshot, lambda one: _serves(one, call.operation), _lot)
        await self._stored.recall(call, principal.user_id)
        attempts = self._route(call, principal, model, snapshot)
        items = self._limit_items(principal, model, call)
        if call.dry_run:
            lane = lane_to(*attempts[0]) if attempts else None
            first = attempts[0].asked.model if attempts else model
            return explain(call, first, principal, [attempt.target for attempt in attempts], lane, items)
        held = self._reserve(items)
        alone = _without_backend(call, model, attempts)
        if alone is not None:
            self._limiter.settle(held, 0)
            return alone
        if not attempts:
            return self._count(call, model, principal, held)
        record = CallRecord(
            id=call.id,
            started_at=time.time_ns() // 1_000_000,
            user_id=principal.user_id,
            key_id=principal.credential_id,
            dialect=call.dialect.name,
            operation=call.operation.name,
            model=model.id,
            stream=call.head.stream,
            input=call.size // BYTES_PER_TOKEN,
        )
        books = OpenBooks(record, call.received, self._journal, self._limiter, held)
        try:
            reply = await self._answer(call, attempts, books)
            if model is not named:
                tell_choice(call, model, reply)
            return await self._stored.keep(call, principal.user_id, reply)
        except Problem as problem:
            books.close(ERROR, None, error=problem)
            raise
        except Exception:
            books.close(ERROR, None, error=Problem(Kind.INTERNAL, ""))
            raise
        except asyncio.CancelledError as cancelled:
            books.close(how_cancelled(cancelled), None)
            raise

    async def _answer(self, call: Call, attempts: list[Attempt], books: OpenBooks) -> Reply:
        """The first target's answer that is one."""
        (asked, target), lane, answer, got, waited = await self._exchange(call, attempts, books)
        try:
            headers = told(call, asked.model, target, lane.losses, attempts=books.record.attempts, waited=waited)
            if isinstance(got, OpenStream):
                headers.extend(of_stream(call, answer))
                relay = Relay(got, target, books)
                return Reply(
                    status=answer.status, headers=headers, body=got.first, stream=relay, ping=call.operation.ping
                )
        except BaseException:
            answer.abort()
            raise
        deltas = -(-got.said // BYTES_PER_TOKEN) if call.operation.family == CHAT else 0
        books.close(OK, got.usage, deltas=deltas)
        headers.extend(of_stream(call, answer) if got.streams else of_whole(call, answer))
        return Reply(status=answer.status, headers=headers, body=got.body)

    def _count(self, call: Call, model: Model, principal: Principal, held: list[Reservation]) -> Reply:
        """The tokens of a prompt, where no backend can count them."""
        self._limiter.settle(held, 0)
        request = Asked(call, model, principal).request()
        assert isinstance(request, ChatRequest)
        return estimated(request, call.id)

    def _route(self, call: Call, principal: Principal, model: Model, snapshot: Snapshot) -> list[Attempt]:
        """What is tried, in this order; the fallback models' targets last, each with its own preset over the request.

        Nothing, for a count of tokens that no target can make.
        """
        draw = _lot()
        asked = Asked(call, model, principal)
        attempts = self._attempts(asked, draw)
        if model.preset is not None:
            # The preset may bound the output, which is what the limits reserve.
            call.head = call.operation.read_head(asked.fields()[0])
        for name in fallbacks(snapshot, model.id):
            fallback = find(snapshot, name)
            if (
                fallback is not None
                and fallback is not model
                and in_scope(principal, fallback, snapshot)
                and may_use(principal, fallback, snapshot)
            ):
                attempts += self._attempts(Asked(call, fallback, principal), draw)
        if not attempts and not _serves(model, call.operation):
            raise _nowhere(call, model)
        return attempts

    def _attempts(self, asked: Asked, draw: float) -> list[Attempt]:
        operation = asked.call.operation
        targets = self._strategy(asked.model.targets, draw)
        return [Attempt(asked, target) for target in targets if reach(operation, target.accent) is not None]

    def _limit_items(self, principal: Principal, model: Model, call: Call) -> list[Item]:
        """What this call may take of each limit that applies to it, whichever target it runs on."""
        items = []
        limits = principal.limits
        if limits.rpm is not None or limits.tpm is not None or limits.concurrency is not None:
            items.append(Item(principal.credential_id, limits, _most_tokens(call, model, limits)))
        if self._system_limits is not None:
            items.append(Item(SYSTEM, self._system_limits, 0))
        return items

    def _reserve(self, items: list[Item]) -> list[Reservation]:
        if not items:
            return []
        held = self._limiter.reserve(items, time.monotonic())
        if isinstance(held, Refusal):
            raise _refused(held, "This server" if held.subject == SYSTEM else "This API key")
        return held

    async def _exchange(self, call: Call, attempts: list[Attempt], books: OpenBooks) -> Exchange:
        """Try the targets in order until one begins to answer. Raises the last one's Problem when none does."""
        waited = 0.0
        problem: Problem | None = None
        left = deque(attempts)
        while left and (problem is None or _another_may_help(problem)):
            attempt = left.popleft()
            asked, target = attempt
            refusal = self._connection_full(call, attempt, books)
            if refusal is not None:
                problem = _refused(refusal, f"The backend `{target.connection.name}`")
                continue
            try:
                lane = await self._lane(call, attempt)
            except Problem as unsaid:
                if unsaid.code not in PASSED_OVER:
                    raise
                books.release()
                problem = problem or unsaid  # a target that could be told everything and failed says more
                continue
            books.record.connection_id, books.record.upstream_model = target.connection.id, target.model
            books.record.loss = record_of(lane.losses)
            await books.leaves()
            sent = time.monotonic()
            try:
                answer, got = await self._send(call, target, lane, books)
            except Problem as failed:
                books.release()
                failed.message = cleaned(failed.message, target)
                waited += time.monotonic() - sent
                less = _with_less(asked, lane, failed)
                if less is None:
                    problem = failed
                else:
                    left.appendleft(Attempt(less, target))
                continue
            books.first_byte()
            return Exchange(attempt, lane, answer, got, waited + time.monotonic() - sent)
        assert problem is not None
        raise problem

    async def _lane(self, call: Call, attempt: Attempt) -> Lane:
        """How the call goes to a target, with what it names by its address fetched where the target cannot.

        Raises Problem: one of PASSED_OVER when another target may do, any other when the request is wrong.
        """
        asked, target = attempt
        lane = lane_to(asked, target)
        if isinstance(lane, HubLane) and not target.accent.fetches:
            request = asked.request()
            media = remote_media(request) if isinstance(request, ChatRequest) else []
            if media:
                await self._fetcher.fill(media)
                lane = lane_to(asked, target)
        if lane.losses and (call.strict or (asked.model.preset is not None and asked.model.preset.strict)):
            raise refused_loss(lane.losses, target)
        return lane

    async def _send(
        self, call: Call, target: Target, lane: Lane, books: OpenBooks
    ) -> tuple[Answer, OpenStream | Whole]:
        """One target's answer, when it is one: of a stream the first events are there, any other is read to its end."""
        forwarded = call.forwarded if lane.dialect is call.dialect else ()
        answer = await self._client.send(
            target.connection.endpoint,
            "POST",
            lane.path,
            with_callers(target.headers, call, forwarded) if forwarded else target.headers,
            lane.body,
            stream=call.head.stream,
        )
        try:
            books.record.http_status = answer.status
            if not 200 <= answer.status < 300:
                raise await problem_of(answer, target, lane.dialect)
            if not (streams(answer) if call.head.stream else call.operation.family == OTHER and not _is_json(answer)):
                body = await answer.read(MAX_ANSWER_BYTES)
                return answer, (lane.streamed(body) if call.head.stream else None) or lane.whole(body)
            return answer, await open_stream(answer, lane.tap(), target.connection.endpoint.timeouts.first_byte)
        except BaseException:
            answer.abort()
            raise

    def _connection_full(self, call: Call, attempt: Attempt, books: OpenBooks) -> Refusal | None:
        connection = attempt.target.connection
        if connection.limits is None:
            return None
        tokens = _most_tokens(call, attempt.asked.model, connection.limits)
        return books.hold(Item(connection.id, connection.limits, tokens))


def _lot() -> float:
    return random.random()  # noqa: S311 - a lot, not a secret


def _serves(model: Model, operation: Operation) -> bool:
    """True when the model can answer this operation: at one of its backends, or here, where tokens are counted."""
    reached = any(reach(operation, target.accent) is not None for target in model.targets)
    return reached or (operation.family == COUNT and bool(model.targets))


def _without_backend(call: Call, model: Model, attempts: list[Attempt]) -> Reply | None:
    """The answer to a call that means nothing to any of its targets."""
    operation = call.operation
    if operation.alone is None or any(operation.id in attempt.target.accent.paths for attempt in attempts):
        return None
    body = operation.alone(call.fields, Asker(call.id, model.id, call.created, call.fields))
    if body is None:
        return None
    return Reply(status=200, headers=[(b"x-request-id", call.id.encode()), JSON_TYPE], body=body)


def _nowhere(call: Call, model: Model) -> Problem:
    if not model.targets:
        return Problem(
            Kind.UNAVAILABLE,
            f"The model `{model.id}` has no backend at the moment: its base model is not offered by any connection.",
        )
    return Problem(
        Kind.INVALID_REQUEST,
        f"The model `{model.id}` cannot be used at {call.operation.path}: none of its backends offers that.",
        param="model",
    )


def _is_json(answer: Answer) -> bool:
    return (answer.header("content-type") or "").lower().startswith("application/json")


def _with_less(asked: Asked, lane: Lane, failed: Problem) -> Asked | None:
    """What to ask the same target instead, when it says that its model cannot do something that may be left out."""
    if failed.kind is not Kind.INVALID_REQUEST or not isinstance(lane, HubLane):
        return None
    spare = lane.dialect.spare(failed.message)
    return None if spare is None else asked.without(spare)


def _another_may_help(problem: Problem) -> bool:
    """False when the request itself is at fault: every target would refuse it."""
    return (
        problem.code in PASSED_OVER
        or problem.kind.status in RETRYABLE_STATUS
        or problem.kind.status in REFUSED_CREDENTIAL
    )


def _most_tokens(call: Call, model: Model, limits: Limits) -> int:
    """An upper bound of the tokens that a call may take, as far as one is known; 0 where tokens are not limited."""
    if limits.tpm is None:
        return 0
    prompt = call.size // BYTES_PER_TOKEN
    if call.operation.family != CHAT:
        return prompt
    bound = call.head.output_bound if call.head.output_bound is not None else model.max_tokens
    return prompt + bound if bound is not None else min(prompt + ASSUMED_OUTPUT_TOKENS, limits.tpm)


def _refused(refusal: Refusal, whose: str = "This API key") -> Problem:
    if refusal.retry_after is None:
        message = (
            f"{whose} is limited to {refusal.limit} tokens a minute, and this call may use more: lower max_tokens."
        )
    else:
        what = {"rpm": "calls a minute", "tpm": "tokens a minute", "concurrency": "calls at once"}[refusal.which]
        message = f"{whose} is limited to {refusal.limit} {what}. Try again in {refusal.retry_after:.0f} s."
    return Problem(Kind.RATE_LIMITED, message, param=refusal.which, retry_after=refusal.retry_after)
