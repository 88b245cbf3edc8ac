from collections.abc import Sequence

class Op:
    mesh: bytes
    author: bytes
    number: int
    schema: bytes
    ms: int
    values: Sequence[int]
    tag: bytes
    def __init__(
        self,
        mesh: bytes,
        author: bytes,
        number: int,
        schema: bytes,
        ms: int,
        values: Sequence[int],
        tag: bytes = ...,
    ) -> None: ...

def encode_op(op: Op) -> bytes: ...
def decode_op(body: bytes) -> Op: ...
