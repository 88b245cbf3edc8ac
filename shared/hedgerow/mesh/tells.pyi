NO_PROOF: bytes

def encode_receipt(
    keeper: bytes, incarnation: int, author: bytes, number: int, proof: bytes = ...
) -> bytes: ...
def decode_receipt(frame: bytes) -> tuple[bytes, int, bytes, int, bytes]: ...
def encode_time(
    utc_ms: int, error_ms: int, source: int, hops: int, asker: bytes = ..., counter: int = 0
) -> bytes: ...
def decode_time(frame: bytes) -> tuple[int, int, int, int, bytes, int]: ...
def ask(asked: tuple[int, int, int, int], counter: int, now: int) -> tuple[int, int, int, int]: ...
def is_answer(
    asked: tuple[int, int, int, int], asker: bytes, counter: int, author: bytes, now: int
) -> bool: ...

class Announce:
    author: bytes
    number_high: int
    ms_high: int
    role: int
    flags: int
    period_s: int
    due_ms: int
    window: int
    def __init__(
        self,
        author: bytes,
        number_high: int,
        ms_high: int,
        role: int,
        flags: int = 0,
        period_s: int = 0,
        due_ms: int = 0,
        window: int = 0,
    ) -> None: ...

def encode_announce(announce: Announce) -> bytes: ...
def decode_announce(frame: bytes) -> Announce: ...
def encode_call(target: bytes, sender: bytes, seconds: int) -> bytes: ...
def decode_call(frame: bytes) -> tuple[bytes, bytes, int]: ...
