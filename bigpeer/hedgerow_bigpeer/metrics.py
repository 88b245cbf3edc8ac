"""/metrics: the counters in the text format of Prometheus (exposition format 0.0.4)."""

from .service import Service

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def render(service: Service) -> str:
    """Return every metric, each with its help and type."""
    counters = service.counters
    frontiers = service.frontiers.values()
    lines: list[str] = []

    def metric(name: str, kind: str, about: str, values: dict[str, int]) -> None:
        lines.append(f"# HELP hedgerow_bigpeer_{name} {about}")
        lines.append(f"# TYPE hedgerow_bigpeer_{name} {kind}")
        lines.extend(f"hedgerow_bigpeer_{name}{labels} {value}" for labels, value in values.items())

    def one(name: str, kind: str, about: str, value: int) -> None:
        metric(name, kind, about, {"": value})

    one("operations_total", "counter", "Operations taken in since the start.", counters.operations)
    one(
        "document_changes_total",
        "counter",
        "Changes of visible documents since the start.",
        counters.documents,
    )
    one("commits_total", "counter", "Transactions of the store since the start.", counters.commits)
    one("refusals_total", "counter", "Submissions that the store refused.", counters.refusals)
    one("author_refusals_total", "counter", "Authors refused for a session.", service.refusals.total)
    one("authors_refused", "gauge", "Authors refused that have not got on since.", len(service.refusals))
    one("sessions_total", "counter", "Sync sessions since the start.", counters.sessions)
    one("session_errors_total", "counter", "Sync sessions that ended with an error.", counters.session_errors)
    one("connections", "gauge", "Sync connections that are open.", service.connections)
    one("sync_received_bytes_total", "counter", "Bytes of session records received.", counters.bytes_in)
    one("sync_sent_bytes_total", "counter", "Bytes of session records sent.", counters.bytes_out)
    refused = {f'{{code="{code}"}}': count for code, count in sorted(counters.refused.items())}
    metric("operations_refused_total", "counter", "Operations of which something does not count.", refused)
    statements = {f'{{kind="{kind}"}}': count for kind, count in sorted(counters.statements.items())}
    metric("statements_total", "counter", "Statements that were run, by kind.", statements)
    one(
        "statement_errors_total",
        "counter",
        "Requests to execute that were refused.",
        counters.statement_errors,
    )
    one("operations_sent_total", "counter", "Operations sent to subscribers.", counters.picked)
    one("operations_collected_total", "counter", "Superseded operations collected.", counters.collected)
    one("transaction", "gauge", "The newest transaction of the store.", service.transaction)
    one("authors", "gauge", "Authors known.", len(frontiers))
    one(
        "operations_held",
        "gauge",
        "Operations held or skipped, over all authors.",
        sum(f.held for f in frontiers),
    )
    one(
        "operations_receipted",
        "gauge",
        "Operations receipted, over all authors.",
        sum(f.receipted for f in frontiers),
    )
    return "\n".join(lines) + "\n"
