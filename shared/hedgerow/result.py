"""What a statement gave."""


class Result:
    """What a statement gave: `kind` of the statement, `rows`, `mutated` document ids, `warnings` (id, text).

    It is iterable over its rows.
    """

    def __init__(self, kind: str, rows: list, mutated: list, warnings: list):
        self.kind = kind
        self.rows = rows
        self.mutated = mutated
        self.warnings = warnings

    def __iter__(self) -> object:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)
