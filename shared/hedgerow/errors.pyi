CODES: dict[str, tuple[int, str]]

class HedgerowError(Exception):
    code: str
    detail: str
    def __init__(self, code: str, detail: str = "") -> None: ...
