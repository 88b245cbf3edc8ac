"""What happened since the start, for /metrics."""

from dataclasses import dataclass, field

#: Upper bounds of a histogram, in seconds.
STATEMENT_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, float("inf"))


@dataclass
class Counters:
    """What happened since the start, for /metrics."""

    operations: int = 0
    documents: int = 0
    commits: int = 0
    refusals: int = 0
    sessions: int = 0
    session_errors: int = 0
    picked: int = 0
    shared: int = 0
    collected: int = 0
    expired: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    statements: dict[str, int] = field(default_factory=dict)
    statement_errors: int = 0
    statement_seconds: float = 0.0
    slow: list[int] = field(default_factory=lambda: [0] * len(STATEMENT_BUCKETS))
    refused: dict[str, int] = field(default_factory=dict)

    def time_statement(self, seconds: float) -> None:
        """Count a statement that took so long, in every bucket that it is within."""
        self.statement_seconds += seconds
        for at, limit in enumerate(STATEMENT_BUCKETS):
            self.slow[at] += seconds <= limit
