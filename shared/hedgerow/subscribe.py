"""From the text of a subscription to an interest (SPEC 7.10.1)."""

from . import limits
from .errors import HedgerowError
from .query.load import parse_statement
from .query.scan import Scanner
from .sync.interest import Interest


def interest_of(text: str, parameters: dict, hops: int) -> Interest:
    """Return the interest of SELECT * FROM collection [WHERE condition]; SUBSCRIPTION_INVALID for more."""
    statement = parse_statement(text)
    plain = ((("star",),), None, (), None, (), None, None)
    if statement[0] != "select" or statement[1]:
        raise HedgerowError("SUBSCRIPTION_INVALID", statement[0])
    if (statement[2], None) + statement[5:] != plain:
        raise HedgerowError("SUBSCRIPTION_INVALID", "only * and WHERE")
    if not 0 <= hops <= limits.MAX_INTEREST_HOPS:
        raise HedgerowError("SUBSCRIPTION_INVALID", "0 to %d hops" % limits.MAX_INTEREST_HOPS)
    where = _condition(text) if statement[4] else ""
    if where:
        # What cannot be asked is said here, and not only by whom it is asked of.
        from .query.condition import Condition

        Condition(where, parameters)
    return Interest(statement[3], where, parameters, hops)


def _condition(text: str) -> str:
    """Return the text behind WHERE."""
    scanner = Scanner(text, limits.MAX_STATEMENT)
    # SELECT * FROM and the name: what they are called may be WHERE itself.
    for _ in range(4):
        scanner.advance()
    while not scanner.has("WHERE"):
        scanner.advance()
    return text[scanner.start :].strip().rstrip(";").rstrip()
