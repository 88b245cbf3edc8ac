"""The gateway's counters in Prometheus' text format, version 0.0.4."""

from collections.abc import Iterator

from .report import Report

METRICS = {
    "hedgerow_gateway_adverts_total": "Advertisements heard, everybody's.",
    "hedgerow_gateway_beacons_total": "Beacons of this mesh heard.",
    "hedgerow_gateway_radio_speaks": "1 while receipts can be said.",
    "hedgerow_gateway_radio_said_total": "Advertisements said.",
    "hedgerow_gateway_radio_say_failures_total": "Advertisements that could not be said.",
    "hedgerow_gateway_radio_restarts_total": "Times that advertising was begun anew to get going again.",
    "hedgerow_gateway_radio_refresh_seconds": "What the last change of the advertisement took.",
    "hedgerow_gateway_radio_heard_age_seconds": "Seconds since anything was heard; none before that.",
    "hedgerow_gateway_scanner_starts_total": "Starts of the scanner.",
    "hedgerow_gateway_silences_total": "Times that nothing at all was heard for too long.",
    "hedgerow_gateway_power_cycles_total": "Times that the adapter was switched off and on.",
    "hedgerow_gateway_connections_total": "Visits to boards begun.",
    "hedgerow_gateway_connections_hourly_total": "Visits because this gateway cannot say receipts.",
    "hedgerow_gateway_connections_failed_total": "Visits to boards that failed.",
    "hedgerow_gateway_connections": "Visits to boards under way.",
    "hedgerow_gateway_errors_total": "Failed visits and bad beacons by error code.",
    "hedgerow_gateway_link_bytes_total": "Bytes of sessions with boards, by direction.",
    "hedgerow_gateway_uplink_connected": "1 while a session with the Big Peer is up.",
    "hedgerow_gateway_uplink_sessions_total": "Sessions with the Big Peer that were greeted and have ended.",
    "hedgerow_gateway_uplink_outages_total": "Sessions with the Big Peer that ended before the gateway did.",
    "hedgerow_gateway_uplink_failures_total": "Attempts and sessions of the uplink that ended in an error.",
    "hedgerow_gateway_uplink_bytes_total": "Bytes of ended sessions with the Big Peer, by direction.",
    "hedgerow_gateway_log_commits_total": "Commits of the log, one fsync each.",
    "hedgerow_gateway_log_reclaimed_total": "Receipted entries removed from the log to make room.",
    "hedgerow_gateway_log_bytes": "Size of the log's database.",
    "hedgerow_gateway_time_trusted": "1 while the gateway's own clock can be vouched for.",
    "hedgerow_gateway_authors": "Authors in the log.",
    "hedgerow_gateway_authors_overdue": "Authors that sleep, and have missed three of their wakes.",
    "hedgerow_gateway_operations_held": "Operations held, summed over authors.",
    "hedgerow_gateway_operations_receipted": "Operations receipted by a keeper, summed over authors.",
    "hedgerow_gateway_uptime_seconds": "Seconds since the start.",
}

_IN = '{direction="in"}'
_OUT = '{direction="out"}'


def _samples(report: Report) -> Iterator[tuple[str, str, float]]:
    radio, uplink, authors = report["radio"], report["uplink"], report["authors"]
    prefix = "hedgerow_gateway_"
    yield prefix + "adverts_total", "", radio["adverts"]
    yield prefix + "beacons_total", "", report["beacons"]
    yield prefix + "radio_speaks", "", radio["speaks"]
    yield prefix + "radio_said_total", "", radio["said"]
    yield prefix + "radio_say_failures_total", "", radio["say_failures"]
    yield prefix + "radio_restarts_total", "", radio["restarts"]
    yield prefix + "radio_refresh_seconds", "", radio["refresh_ms"] / 1000
    if radio["heard_age_s"] is not None:
        yield prefix + "radio_heard_age_seconds", "", radio["heard_age_s"]
    yield prefix + "scanner_starts_total", "", radio["scanner_starts"]
    yield prefix + "silences_total", "", radio["silences"]
    yield prefix + "power_cycles_total", "", radio["power_cycles"]
    yield prefix + "connections_total", "", report["connections"]
    yield prefix + "connections_hourly_total", "", report["hourly"]
    yield prefix + "connections_failed_total", "", report["connections_failed"]
    yield prefix + "connections", "", report["connected"]
    for code, count in sorted(report["errors"].items()):
        yield prefix + "errors_total", f'{{code="{code}"}}', count
    yield prefix + "link_bytes_total", _IN, report["link_bytes"]["in"]
    yield prefix + "link_bytes_total", _OUT, report["link_bytes"]["out"]
    if uplink is not None:
        yield prefix + "uplink_connected", "", uplink["connected"]
        yield prefix + "uplink_sessions_total", "", uplink["sessions"]
        yield prefix + "uplink_outages_total", "", uplink["outages"]
        yield prefix + "uplink_failures_total", "", uplink["failures"]
        yield prefix + "uplink_bytes_total", _IN, uplink["bytes"]["in"]
        yield prefix + "uplink_bytes_total", _OUT, uplink["bytes"]["out"]
    yield prefix + "log_commits_total", "", report["log"]["commits"]
    yield prefix + "log_reclaimed_total", "", report["log"]["reclaimed"]
    yield prefix + "log_bytes", "", report["log"]["bytes"]
    yield prefix + "time_trusted", "", report["time"]["trusted"]
    yield prefix + "authors", "", len(authors)
    yield prefix + "authors_overdue", "", sum(author["overdue"] for author in authors)
    yield prefix + "operations_held", "", sum(author["held"] for author in authors)
    yield prefix + "operations_receipted", "", sum(author["receipted"] for author in authors)
    yield prefix + "uptime_seconds", "", report["uptime_ms"] / 1000


def render(report: Report) -> str:
    """Return one report as Prometheus' text: help and type once per metric, then its samples."""
    lines: list[str] = []
    described = ""
    for name, labels, value in _samples(report):
        if name != described:
            described = name
            kind = "counter" if name.endswith("_total") else "gauge"
            lines += [f"# HELP {name} {METRICS[name]}", f"# TYPE {name} {kind}"]
        lines.append(f"{name}{labels} {float(value):.15g}")
    return "\n".join(lines) + "\n"
