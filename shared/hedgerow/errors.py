"""The one exception of Hedgerow: a stable code for programs, a detail for people.

`CODES` maps every code to its number on the wire and one line of explanation. The table lives in
`hedgerow.codes` and is read only when somebody asks for it, because a board has no room to keep it.
"""


class HedgerowError(Exception):
    """A refusal with a stable `code` (a key of `CODES`) and a `detail` for the log."""

    def __init__(self, code: str, detail: str = ""):
        super().__init__(code, detail)
        self.code = code
        self.detail = detail

    def __str__(self) -> str:
        return self.code + ": " + self.detail if self.detail else self.code


def __getattr__(name: str) -> dict:
    if name == "CODES":
        from .codes import CODES

        return CODES
    raise AttributeError(name)
