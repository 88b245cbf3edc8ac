"""The whole of DQL by a grammar: text in, statements as the evaluator takes them out (SPEC 10.1)."""

from .parser import Statement, Types, declared, make_ready, parse
from .text_form import by_text_form, bytes_of, dot_of

__all__ = ["Statement", "Types", "by_text_form", "bytes_of", "declared", "dot_of", "make_ready", "parse"]
