"""/metrics: the counters in the text format of Prometheus (exposition format 0.0.4)."""

from collections.abc import Mapping

from .counters import STATEMENT_BUCKETS, Counters
from .service import Service

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class _Page:
    """Metrics, each with its help and type; what follows a name in `values` are labels, or a suffix."""

    def __init__(self) -> None:
        self._lines: list[str] = []

    def add(self, name: str, kind: str, about: str, values: Mapping[str, float]) -> None:
        self._lines.append(f"# HELP hedgerow_bigpeer_{name} {about}")
        self._lines.append(f"# TYPE hedgerow_bigpeer_{name} {kind}")
        self._lines.extend(f"hedgerow_bigpeer_{name}{labels} {value}" for labels, value in values.items())

    def count(self, name: str, about: str, value: float) -> None:
        self.add(name, "counter", about, {"": value})

    def gauge(self, name: str, about: str, value: float) -> None:
        self.add(name, "gauge", about, {"": value})

    def __str__(self) -> str:
        return "\n".join(self._lines) + "\n"


def render(service: Service, streams: int = 0) -> str:
    """Return every metric; `streams` are the live answers that are open."""
    page = _Page()
    counters = service.counters
    page.count("operations_total", "Operations taken in since the start.", counters.operations)
    page.count("document_changes_total", "Changes of visible documents since the start.", counters.documents)
    page.count("commits_total", "Transactions of the store since the start.", counters.commits)
    page.count("refusals_total", "Submissions that the store refused.", counters.refusals)
    page.count("author_refusals_total", "Authors refused for a session.", service.refusals.total)
    page.gauge("authors_refused", "Authors refused that have not got on since.", len(service.refusals))
    page.count("sessions_total", "Sync sessions since the start.", counters.sessions)
    page.count("session_errors_total", "Sync sessions that ended with an error.", counters.session_errors)
    page.gauge("connections", "Sync connections that are open.", service.connections)
    page.count("sync_received_bytes_total", "Bytes of session records received.", counters.bytes_in)
    page.count("sync_sent_bytes_total", "Bytes of session records sent.", counters.bytes_out)
    refused = {f'{{code="{code}"}}': count for code, count in sorted(counters.refused.items())}
    page.add("operations_refused_total", "counter", "Operations of which something does not count.", refused)
    _statements(page, counters)
    page.gauge("live_streams", "Live answers that are open.", streams)
    page.count("operations_sent_total", "Operations sent to subscribers.", counters.picked)
    page.count("operations_shared_total", "Open operations sent to other gateways.", counters.shared)
    page.count("operations_collected_total", "Superseded operations collected.", counters.collected)
    page.count("operations_expired_total", "Operations of readings expired by this node.", counters.expired)
    _store(page, service)
    return str(page)


def _statements(page: _Page, counters: Counters) -> None:
    statements = {f'{{kind="{kind}"}}': count for kind, count in sorted(counters.statements.items())}
    page.add("statements_total", "counter", "Statements that were run, by kind.", statements)
    page.count("statement_errors_total", "Requests to execute that were refused.", counters.statement_errors)
    seconds: dict[str, float] = {
        f'_bucket{{le="{limit if limit < float("inf") else "+Inf"}"}}': count
        for limit, count in zip(STATEMENT_BUCKETS, counters.slow, strict=True)
    }
    seconds |= {"_sum": round(counters.statement_seconds, 6), "_count": counters.slow[-1]}
    page.add("execute_seconds", "histogram", "How long requests to execute took.", seconds)


def _store(page: _Page, service: Service) -> None:
    frontiers = service.frontiers.values()
    behind = max(0, service.written - service.transaction) if service.store.is_shared else 0
    page.gauge("healthy", "Whether the store took and answered the last time.", int(service.healthy))
    page.gauge("watermark_behind", "How far the stable transactions are below what is written.", behind)
    page.gauge("transaction", "The newest transaction of the store.", service.transaction)
    page.gauge("authors", "Authors known.", len(frontiers))
    held, receipted = sum(f.held for f in frontiers), sum(f.receipted for f in frontiers)
    page.gauge("operations_held", "Operations held or skipped, over all authors.", held)
    page.gauge("operations_receipted", "Operations receipted, over all authors.", receipted)
