from .talk import Talk

class Carrier(Talk):
    def say_down(self, content: bytes, at: int, hurry: bool) -> None: ...
