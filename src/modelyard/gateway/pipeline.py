"""The one straight line that every call takes, whatever its dialect or endpoint.

    resolve -> authorise -> limit (reserve) -> overlay the preset -> route
            -> for each target until the first byte: send -> relay -> settle

`run` is the only caller of the steps, so no endpoint can forget one. A call reads one snapshot throughout and runs no
SQL. The first chunk from upstream is the commit point: before it the next target may be tried, after it never.
"""

import random
import time
from collections.abc import AsyncGenerator
from datetime import datetime
from functools import lru_cache

from modelyard.canonical.record import ERROR, LEFT, OK, CallRecord
from modelyard.canonical.snapshot import Limits, Model, Principal, Published, Snapshot, Target
from modelyard.core import log, raw
from modelyard.core.errors import Kind, Problem
from modelyard.dialects.dialect import Dialect, StreamTap
from modelyard.gateway.books import OpenBooks
from modelyard.gateway.call import Call, Headers, Reply
from modelyard.gateway.gate import authenticate, authorise, resolve
from modelyard.gateway.journal import Journal
from modelyard.gateway.limits import Item, Limiter, Refusal, Reservation
from modelyard.gateway.upstream_errors import problem_of, without_secret
from modelyard.policy.access import may_use
from modelyard.policy.presets import fill_in
from modelyard.policy.routing import REFUSED_CREDENTIAL, RETRYABLE_STATUS, Strategy
from modelyard.upstream.client import Answer, Client

_log = log.get(__name__)

# A whole answer is held in memory until its usage is read.
MAX_ANSWER_BYTES = 256 * 1024 * 1024

# What a call without `max_tokens` reserves of a token limit; settled to the truth afterwards.
ASSUMED_OUTPUT_TOKENS = 4096
BYTES_PER_TOKEN = 4

SYSTEM = "system"

JSON_TYPE = (b"content-type", b"application/json")
STREAM_HEADERS: Headers = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
]


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
        items = self._limit_items(principal, model, call)
        losses = self._overlay(call, principal, model)
        targets = self._route(principal, model, snapshot)
        if call.dry_run:
            return self._explain(call, model, principal, targets, items)
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
            target, answer, waited = await self._exchange(call, model, targets, books)
            headers = self._headers(call, model, target, books, losses, waited)
            if call.head.stream and _streams(answer):
                return await self._begin_stream(call, target, answer, books, headers)
            return await self._whole(call, target, answer, books, headers)
        except Problem as problem:
            books.close(ERROR, None, error=problem)
            raise
        except BaseException:
            books.close(LEFT, None)  # cancelled: the caller is gone, or the server is ending
            raise

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

    def _overlay(self, call: Call, principal: Principal, model: Model) -> list[str]:
        preset = model.preset
        if preset is None:
            return []
        system = fill_in(preset.system, principal, datetime.now().astimezone()) if preset.system else None
        return call.dialect.overlay(call.operation, call.fields, preset, system)

    def _route(self, principal: Principal, model: Model, snapshot: Snapshot) -> list[Target]:
        """The targets in the order in which they are tried; those of the fallback model last."""
        draw = random.random()  # noqa: S311 - a lot, not a secret
        targets = list(self._strategy(model.targets, draw))
        fallback = snapshot.models.get(snapshot.fallback_model) if snapshot.fallback_model else None
        if fallback is not None and fallback is not model and may_use(principal, fallback, snapshot):
            targets.extend(self._strategy(fallback.targets, draw))
        if not targets:
            raise Problem(
                Kind.UNAVAILABLE,
                f"The model `{model.id}` has no backend at the moment: its base model is not offered by any connection.",
            )
        return targets

    async def _exchange(
        self, call: Call, model: Model, targets: list[Target], books: OpenBooks
    ) -> tuple[Target, Answer, float]:
        """Try the targets in order until one answers. (target, its answer, seconds spent waiting for backends)"""
        dialect, record = call.dialect, books.record
        path = dialect.operations[call.operation]
        ask_for_usage = call.head.stream and call.operation != "embeddings"
        last = len(targets) - 1
        waited = 0.0
        for index, target in enumerate(targets):
            connection = target.connection
            if connection.limits is not None:
                item = Item(connection.id, connection.limits, _most_tokens(call, model, connection.limits))
                refusal = books.hold(item)
                if refusal is not None:
                    if index == last:
                        raise _refused(refusal, f"The backend `{connection.name}`")
                    continue
            record.connection_id, record.upstream_model = connection.id, target.model
            body = dialect.address(call.fields, target, ask_for_usage and target.stream_usage)
            await books.leaves()
            sent = time.monotonic()
            try:
                answer = await self._client.send(
                    connection.endpoint,
                    "POST",
                    connection.api_path + path,
                    target.headers,
                    body,
                    stream=call.head.stream,
                )
            except Problem as problem:
                problem.message = without_secret(problem.message, target)
                if index == last:
                    raise
                waited += time.monotonic() - sent
                continue
            waited += time.monotonic() - sent
            books.first_byte()
            record.http_status = answer.status
            if answer.status < 400:
                return target, answer, waited
            if index < last and (answer.status in RETRYABLE_STATUS or answer.status in REFUSED_CREDENTIAL):
                answer.abort()
                continue
            raise await problem_of(answer, target, dialect)
        raise AssertionError("there is always a last target")

    async def _whole(self, call: Call, target: Target, answer: Answer, books: OpenBooks, headers: Headers) -> Reply:
        try:
            body = await answer.read(MAX_ANSWER_BYTES)
        except Problem as problem:
            problem.message = without_secret(problem.message, target)
            raise
        usage = call.dialect.read_usage(body)
        books.close(OK, usage, deltas=0 if usage is not None else len(body) // BYTES_PER_TOKEN)
        headers.append(JSON_TYPE)
        return Reply(status=answer.status, headers=headers, body=body)

    async def _begin_stream(
        self, call: Call, target: Target, answer: Answer, books: OpenBooks, headers: Headers
    ) -> Reply:
        """Wait for the first event, so that a stream which fails at once is still answered with a status."""
        asked = target.stream_usage and not call.dialect.asked_for_usage(call.fields)
        tap = call.dialect.tap(asked)
        stream = self._relay(call.dialect, target, answer, tap, books)
        try:
            first = await anext(stream)
        except StopAsyncIteration:
            first = b""
        books.first_byte()
        headers.extend(STREAM_HEADERS)
        return Reply(status=answer.status, headers=headers, body=first, stream=stream)

    async def _relay(
        self, dialect: Dialect, target: Target, answer: Answer, tap: StreamTap, books: OpenBooks
    ) -> AsyncGenerator[bytes, None]:
        """Pass whole events on until the end. After the first one every fault becomes an error event, never a clean end."""
        status, problem, begun = LEFT, None, False
        try:
            async for chunk in answer.chunks():
                events = tap.feed(chunk)
                if events:
                    begun = True
                    yield events
                    books.progress(tap.deltas)
            last = tap.end()
            status = OK
            if last:
                begun = True
                yield last
        except Problem as fault:
            status, problem = ERROR, fault
            fault.message = without_secret(fault.message, target)
            if not begun:
                raise
            yield dialect.write_stream_error(fault)
        except Exception as error:  # noqa: BLE001 - ours: the caller gets a proper end, the log the details
            _log.exception("a stream failed inside the gateway", call=books.record.id, error=type(error).__name__)
            status, problem = ERROR, Problem(Kind.INTERNAL, "Modelyard failed while it passed this stream on.")
            if not begun:
                raise problem from None
            yield dialect.write_stream_error(problem)
        finally:
            answer.abort()
            books.close(status, tap.usage, tap.deltas, problem)

    def _headers(
        self, call: Call, model: Model, target: Target, books: OpenBooks, losses: list[str], waited: float
    ) -> Headers:
        overhead = (time.monotonic() - call.received - waited) * 1000
        headers = [
            (b"x-request-id", call.id.encode()),
            (b"x-modelyard-model", _header_value(model.id)),
            (b"x-modelyard-connection", _header_value(target.connection.name)),
            (b"x-modelyard-attempts", b"%d" % books.record.attempts),
            (b"x-modelyard-overhead-ms", b"%.2f" % overhead),
        ]
        if losses:
            headers.append((b"x-modelyard-loss", ",".join(losses).encode()))
        return headers

    def _explain(
        self, call: Call, model: Model, principal: Principal, targets: list[Target], items: list[Item]
    ) -> Reply:
        """`x-modelyard-dry-run`: what would happen, told without calling anybody or using up a limit."""
        chosen = targets[0]
        body = call.dialect.address(call.fields, chosen, call.head.stream and chosen.stream_usage)
        limits = principal.limits
        return Reply(
            status=200,
            headers=[(b"x-request-id", call.id.encode()), (b"x-modelyard-model", _header_value(model.id)), JSON_TYPE],
            body=raw.encode(
                {
                    "request_id": call.id,
                    "candidates": [
                        {"connection": target.connection.name, "model": target.model, "score": -rank, "rejected": None}
                        for rank, target in enumerate(targets)
                    ],
                    "chosen": {"connection": chosen.connection.name, "model": chosen.model},
                    "limits": {
                        "rpm": limits.rpm,
                        "tpm": limits.tpm,
                        "concurrency": limits.concurrency,
                        "reserves_tokens": items[0].tokens if items else 0,
                    },
                    "price": None,
                    "body": raw.Raw(body),
                }
            ),
        )


# What servers call a stream of events. A page or JSON is read whole instead: it is an error or an answer in one piece.
STREAM_TYPES = ("text/event-stream", "text/plain", "application/octet-stream")


def _streams(answer: Answer) -> bool:
    content_type = answer.header("content-type")
    return content_type is None or content_type.startswith(STREAM_TYPES)


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
