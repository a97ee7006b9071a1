"""`/health`, `/ready`, `/metrics`: for load balancers and monitoring."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from modelyard.api.reply import Receive, Scope, Send, deliver
from modelyard.canonical.snapshot import Published
from modelyard.core import raw
from modelyard.core.errors import Kind, Problem
from modelyard.core.seal import Seal
from modelyard.gateway.call import Headers, Reply
from modelyard.gateway.gate import authenticate
from modelyard.gateway.journal import Journal
from modelyard.policy.credentials import presented

JSON: Headers = [(b"content-type", b"application/json")]
TEXT = (b"content-type", b"text/plain; version=0.0.4; charset=utf-8")


@dataclass(frozen=True, slots=True, kw_only=True)
class Operations:
    """The doors of operations. `ready` says why the server is not ready yet, None when it is."""

    published: Published
    seal: Seal
    registry: CollectorRegistry
    ready: Callable[[], str | None]
    metrics_enabled: bool

    async def health(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Alive. No credential, no detail."""
        await deliver(Reply(status=200, headers=list(JSON), body=b'{"status":"ok"}'), send)

    async def readiness(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Ready for calls. No credential, no detail beyond the reason."""
        reason = self.ready()
        body = raw.encode({"status": "ready"} if reason is None else {"status": "not ready", "reason": reason})
        await deliver(Reply(status=200 if reason is None else 503, headers=list(JSON), body=body), send)

    async def metrics(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Prometheus metrics, for administrators' keys: they tell who uses what."""
        try:
            if not self.metrics_enabled:
                raise Problem(Kind.NOT_FOUND, "Metrics are switched off (ENABLE_METRICS).")
            shown = presented(scope["headers"])
            digest = self.seal.digest(shown.token) if shown is not None else None
            if not authenticate(self.published.snapshot, digest, time.time()).manages:
                raise Problem(Kind.FORBIDDEN, "Metrics are for administrators: scrape with an administrator's key.")
            reply = Reply(status=200, headers=[TEXT], body=generate_latest(self.registry))
        except Problem as problem:
            body = raw.encode({"detail": problem.message})
            reply = Reply(status=problem.kind.status, headers=list(JSON), body=body)
        await deliver(reply, send)


class CallMetrics(Collector):
    """Counts what the data plane did. Plain integers on the hot path, turned into metrics only when scraped."""

    def __init__(self, published: Published, journal: Journal) -> None:
        self._published = published
        self._journal = journal

    def collect(self) -> "list[Metric]":
        snapshot = self._published.snapshot
        journal = self._journal
        ended = CounterMetricFamily(
            "modelyard_calls", "Calls that left for a backend, by how they ended.", labels=["status"]
        )
        for status, count in journal.ended.items():
            ended.add_metric([status], count)
        waiting = sum(segment.size - segment.flushed for segment in journal.segments)
        return [
            ended,
            GaugeMetricFamily("modelyard_calls_running", "Calls in progress.", value=journal.running),
            GaugeMetricFamily("modelyard_models", "Names in the catalogue.", value=len(snapshot.models)),
            GaugeMetricFamily(
                "modelyard_snapshot_version", "Version in force in this process.", value=snapshot.version
            ),
            GaugeMetricFamily("modelyard_journal_waiting_bytes", "Journal not yet in the ledger.", value=waiting),
            GaugeMetricFamily(
                "modelyard_journal_degraded", "1 while the disk refuses it.", value=int(journal.degraded)
            ),
        ]
