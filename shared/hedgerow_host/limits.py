"""Limits of what only hosts run; what is over one is refused with a code."""

STATEMENT_CHARACTERS = 65_536
STATEMENT_DEPTH = 64
CACHED_STATEMENTS = 256
SHOWN_CHOICES = 8
