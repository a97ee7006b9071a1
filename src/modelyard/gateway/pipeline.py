"""The one straight line that every call takes, whatever its dialect or endpoint.

    resolve -> authorise -> overlay the preset -> limit (reserve) -> route
            -> for each target until the first byte: send -> relay -> settle

`run` is the only caller of the steps, so no endpoint can forget one. A call reads one snapshot throughout and runs no
SQL. The first events from upstream are the commit point: before them the next target may be tried, after them never.
"""

import asyncio
import random
import time
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple

from modelyard.canonical.record import ERROR, OK, CallRecord
from modelyard.canonical.snapshot import Limits, Model, Principal, Published, Snapshot, Target
from modelyard.core.errors import Kind, Problem
from modelyard.core.raw import Fields
from modelyard.gateway.books import OpenBooks
from modelyard.gateway.call import JSON_TYPE, Call, Headers, Reply
from modelyard.gateway.dry_run import explain
from modelyard.gateway.gate import authenticate, authorise, find, resolve
from modelyard.gateway.journal import Journal
from modelyard.gateway.limits import Item, Limiter, Refusal, Reservation
from modelyard.gateway.relay import OpenStream, Relay, how_cancelled, open_stream, streams
from modelyard.gateway.upstream_errors import cleaned, problem_of
from modelyard.policy.access import in_scope, may_use
from modelyard.policy.presets import fill_in
from modelyard.policy.routing import REFUSED_CREDENTIAL, RETRYABLE_STATUS, Strategy
from modelyard.upstream.client import Answer, Client

# A whole answer is held in memory until its usage is read.
MAX_ANSWER_BYTES = 256 * 1024 * 1024

# What a call without `max_tokens` reserves of a token limit; settled to the truth afterwards.
ASSUMED_OUTPUT_TOKENS = 4096
BYTES_PER_TOKEN = 4

SYSTEM = "system"

STREAM_HEADERS: Headers = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
]


class Attempt(NamedTuple):
    """One target to try, with the request as the model's preset has made it."""

    model: Model
    target: Target
    fields: Fields
    losses: list[str]


class Exchange(NamedTuple):
    """What a target answered: a stream that has begun, or an answer that is still to be read whole."""

    attempt: Attempt
    answer: Answer
    stream: OpenStream | None
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
        system_limits: Limits | None = None,
    ) -> None:
        self._published = published
        self._client = client
        self._limiter = limiter
        self._journal = journal
        self._strategy = strategy
        self._system_limits = system_limits

    async def run(self, call: Call) -> Reply:
        """Answer one call. Raises Problem for whatever keeps it from being answered."""
        snapshot = self._published.snapshot
        principal = authenticate(snapshot, call.digest, time.time(), call.dialect.name)
        model = authorise(principal, resolve(snapshot, call.head.model), snapshot, call.head.model)
        attempts = self._route(call, principal, model, snapshot)
        items = self._limit_items(principal, model, call)
        if call.dry_run:
            candidates = [attempt.target for attempt in attempts]
            return explain(call, model, principal, candidates, self._body(call, attempts[0]), items)
        held = self._reserve(items)
        record = CallRecord(
            id=call.id,
            started_at=time.time_ns() // 1_000_000,
            user_id=principal.user_id,
            key_id=principal.credential_id,
            dialect=call.dialect.name,
            operation=call.operation,
            model=model.id,
            stream=call.head.stream,
            input=call.size // BYTES_PER_TOKEN,
        )
        books = OpenBooks(record, call.received, self._journal, self._limiter, held)
        try:
            return await self._answer(call, attempts, books)
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
        exchange = await self._exchange(call, attempts, books)
        attempt, answer, stream, _ = exchange
        try:
            headers = _headers(call, exchange, books.record.attempts)
            if stream is not None:
                headers.extend(STREAM_HEADERS)
                relay = Relay(stream, call.dialect, attempt.target, books)
                return Reply(status=answer.status, headers=headers, body=stream.first, stream=relay)
            body = await answer.read(MAX_ANSWER_BYTES)
            usage = call.dialect.read_usage(body)
        except Problem as problem:
            problem.message = cleaned(problem.message, attempt.target)
            raise
        except BaseException:
            answer.abort()
            raise
        books.close(OK, usage, deltas=0 if call.operation == "embeddings" else len(body) // BYTES_PER_TOKEN)
        headers.append(JSON_TYPE)
        return Reply(status=answer.status, headers=headers, body=body)

    def _route(self, call: Call, principal: Principal, model: Model, snapshot: Snapshot) -> list[Attempt]:
        """What is tried, in this order; the fallback model's targets last, with its own preset over the request."""
        draw = random.random()  # noqa: S311 - a lot, not a secret
        asked = call.fields
        attempts = self._attempts(call, asked, principal, model, draw)
        if attempts and model.preset is not None:
            # The preset may bound the output, which is what the limits reserve.
            call.head = call.dialect.read_head(call.operation, attempts[0].fields)
        fallback = find(snapshot, snapshot.fallback_model) if snapshot.fallback_model else None
        if (
            fallback is not None
            and fallback is not model
            and in_scope(principal, fallback)
            and may_use(principal, fallback, snapshot)
        ):
            attempts += self._attempts(call, asked, principal, fallback, draw)
        if not attempts:
            raise Problem(
                Kind.UNAVAILABLE,
                f"The model `{model.id}` has no backend at the moment: its base model is not offered by any connection.",
            )
        return attempts

    def _attempts(self, call: Call, asked: Fields, principal: Principal, model: Model, draw: float) -> list[Attempt]:
        fields, losses, preset = asked, [], model.preset
        if preset is not None:
            fields = dict(asked)
            system = fill_in(preset.system, principal, datetime.now().astimezone()) if preset.system else None
            losses = call.dialect.overlay(call.operation, fields, preset, system)
        return [Attempt(model, target, fields, losses) for target in self._strategy(model.targets, draw)]

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
        for attempt in attempts:
            if problem is not None and not _another_may_help(problem):
                break
            target = attempt.target
            refusal = self._connection_full(call, attempt, books)
            if refusal is not None:
                problem = _refused(refusal, f"The backend `{target.connection.name}`")
                continue
            books.record.connection_id, books.record.upstream_model = target.connection.id, target.model
            body = self._body(call, attempt)
            await books.leaves()
            sent = time.monotonic()
            try:
                answer, stream = await self._send(call, attempt, body, books)
            except Problem as failed:
                failed.message = cleaned(failed.message, target)
                problem = failed
                waited += time.monotonic() - sent
                continue
            books.first_byte()
            return Exchange(attempt, answer, stream, waited + time.monotonic() - sent)
        assert problem is not None
        raise problem

    async def _send(
        self, call: Call, attempt: Attempt, body: bytes, books: OpenBooks
    ) -> tuple[Answer, OpenStream | None]:
        """One target's answer, when it is a success; of a stream the first events are there."""
        target, dialect = attempt.target, call.dialect
        connection = target.connection
        answer = await self._client.send(
            connection.endpoint,
            "POST",
            connection.api_path + dialect.operations[call.operation],
            target.headers,
            body,
            stream=call.head.stream,
        )
        try:
            books.record.http_status = answer.status
            if not 200 <= answer.status < 300:
                raise await problem_of(answer, target, dialect)
            if not (call.head.stream and streams(answer)):
                return answer, None
            take_usage_out = _asks_for_usage(call, target) and not dialect.asked_for_usage(attempt.fields)
            return answer, await open_stream(answer, dialect.tap(take_usage_out))
        except BaseException:
            answer.abort()
            raise

    def _connection_full(self, call: Call, attempt: Attempt, books: OpenBooks) -> Refusal | None:
        connection = attempt.target.connection
        if connection.limits is None:
            return None
        return books.hold(Item(connection.id, connection.limits, _most_tokens(call, attempt.model, connection.limits)))

    def _body(self, call: Call, attempt: Attempt) -> bytes:
        return call.dialect.address(attempt.fields, attempt.target, _asks_for_usage(call, attempt.target))


def _asks_for_usage(call: Call, target: Target) -> bool:
    return call.head.stream and target.stream_usage and call.operation != "embeddings"


def _another_may_help(problem: Problem) -> bool:
    """False when the request itself is at fault: every target would refuse it."""
    return problem.kind.status in RETRYABLE_STATUS or problem.kind.status in REFUSED_CREDENTIAL


def _headers(call: Call, exchange: Exchange, attempts: int) -> Headers:
    attempt = exchange.attempt
    overhead = (time.monotonic() - call.received - exchange.waited) * 1000
    headers = [
        (b"x-request-id", call.id.encode()),
        (b"x-modelyard-model", _header_value(attempt.model.id)),
        (b"x-modelyard-connection", _header_value(attempt.target.connection.name)),
        (b"x-modelyard-attempts", b"%d" % attempts),
        (b"x-modelyard-overhead-ms", b"%.2f" % overhead),
    ]
    if attempt.losses:
        headers.append((b"x-modelyard-loss", ",".join(attempt.losses).encode()))
    return headers


@lru_cache(maxsize=4096)
def _header_value(text: str) -> bytes:
    """Names are the operator's and may hold anything; a header takes visible ASCII, the rest is percent-encoded."""
    return text.encode("ascii") if text.isascii() and text.isprintable() else _percent(text)


def _percent(text: str) -> bytes:
    return b"".join(bytes([byte]) if 0x20 < byte < 0x7F else b"%%%02X" % byte for byte in text.encode())


def _most_tokens(call: Call, model: Model, limits: Limits) -> int:
    """An upper bound of the tokens that a call may take, as far as one is known; 0 where tokens are not limited."""
    if limits.tpm is None:
        return 0
    prompt = call.size // BYTES_PER_TOKEN
    if call.operation == "embeddings":
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
