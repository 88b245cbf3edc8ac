"""The text of a statement as tokens, and what is wrong with it (SPEC 10.1)."""

from ..codec.decimal import Decimal
from ..errors import HedgerowError

# What a token is; symbols are their own kind.
END = ""
WORD = "w"
QUOTED = "q"
NUMBER = "n"
STRING = "s"
PARAMETER = "p"
_BAD = "b"
COMPARISONS = ("=", "==", "!=", "<>", "<", "<=", ">", ">=")


class Scanner:
    """One token ahead: `kind`, and its place in the text from `start` to before `stop`."""

    def __init__(self, text: str, characters: int) -> None:
        if len(text) > characters:
            raise HedgerowError(
                "QUERY_TOO_LONG", str(len(text)) + " characters, " + str(characters) + " are allowed"
            )
        self.text = text
        self._refusal = None
        self.stop = 0
        self.advance()

    def advance(self) -> None:
        """Read the next token: its kind, where it starts and where it stops."""
        text = self.text
        at = self.stop
        size = len(text)
        while at < size:
            if text[at] in " \t\r\n":
                at += 1
            elif text[at : at + 2] == "--":
                at = text.find("\n", at)
                at = size if at < 0 else at
            else:
                break
        self.start = at
        self.stop = at + 1
        letter = text[at : at + 1]
        if not letter:
            self.kind = END
            self.stop = at
        elif _is_letter(letter):
            self.kind = WORD
            self.stop = _name_end(text, at)
        elif "0" <= letter <= "9":
            self.kind = NUMBER
            self.stop = _number_end(text, at)
        elif letter == "'" or letter == "`":
            self._quoted(letter)
        elif letter == ":" and _is_letter(text[at + 1 : at + 2]):
            self.kind = PARAMETER
            self.stop = _name_end(text, at)
        elif text[at : at + 2] in COMPARISONS and len(text[at : at + 2]) == 2:
            self.kind = text[at : at + 2]
            self.stop = at + 2
        else:
            self.kind = letter if letter in "=<>+-*/%()[]{},.:;" else _BAD

    def _quoted(self, quote: str) -> None:
        text = self.text
        at = self.start
        stop = text.find(quote, at + 1)
        if quote == "'":
            self.kind = STRING
            while stop >= 0 and text[stop + 1 : stop + 2] == quote:
                stop = text.find(quote, stop + 2)
        else:
            self.kind = QUOTED
        if stop < 0 or (stop == at + 1 and quote == "`"):
            self.kind = _BAD
        else:
            self.stop = stop + 1

    def token(self) -> str:
        """Return the text of the token and go on to the next."""
        text = self.text[self.start : self.stop]
        self.advance()
        return text

    def takes(self, kind: str) -> bool:
        """Take a symbol if it is next."""
        if self.kind != kind:
            return False
        self.advance()
        return True

    def need(self, symbol: str) -> None:
        """Take a symbol, which must be next."""
        # A symbol may be the beginning of what was read as one token, as in {'a':b}.
        if self.kind == END or self.text[self.start] != symbol:
            self.fail("'" + symbol + "'")
        self.stop = self.start + 1
        self.advance()

    def peeks(self, word: str) -> bool:
        """Tell whether a keyword is next."""
        return self.kind == WORD and upper(self.text[self.start : self.stop]) == word

    def has(self, word: str) -> bool:
        """Take a keyword if it is next."""
        if self.peeks(word):
            self.advance()
            return True
        return False

    def needs(self, words: str) -> None:
        """Take keywords, which must be next."""
        for word in words.split():
            if not self.has(word):
                self.fail(word)

    def fail(self, expected: str) -> None:
        """Refuse the text: something else was expected where the token is."""
        found = "the statement ends"
        if self.kind != END:
            found = "unexpected " + repr(self.text[self.start : self.stop])
        raise HedgerowError("QUERY_SYNTAX", self.place(self.start) + found + ", expected " + expected)

    def place(self, at: int) -> str:
        """Return a place in the text as people count."""
        lines = self.text[:at].split("\n")
        return "line " + str(len(lines)) + ", column " + str(len(lines[-1]) + 1) + ": "

    def refuse(self, code: str, reason: str, at: int | None) -> None:
        """Remember a refusal, the first in the text, until all of the text is read."""
        where = len(self.text) + 1 if at is None else at
        if self._refusal is None or where < self._refusal[0]:
            self._refusal = (where, code, ("" if at is None else self.place(at)) + reason)

    def check_end(self) -> None:
        """Insist on the end of the text, and on nothing in it having been refused."""
        if self.kind != END:
            self.fail("a clause or the end")
        if self._refusal is not None:
            raise HedgerowError(self._refusal[1], self._refusal[2])

    def string(self) -> str:
        """Take a string and return its text."""
        return self.token()[1:-1].replace("''", "'")

    def number(self) -> object:
        """Take a number and return it: an integer if it has neither point nor power, else a decimal."""
        at = self.start
        text = self.token()
        if len(text) < 20 and is_whole(text):
            return int(text)
        try:
            return Decimal.parse(text)
        except HedgerowError as error:
            reason = text[:48] + " is no number that can be held (" + error.code + ")"
            self.refuse("QUERY_SYNTAX", reason, at)
            return 0


def depth_of(statement: tuple) -> int:
    """Return how many tuples stand within each other."""
    deepest = 0
    stack = [(statement, 0)]
    while stack:
        node, depth = stack.pop()
        deepest = max(deepest, depth)
        if isinstance(node, tuple):
            for part in node:
                stack.append((part, depth + 1))
    return deepest


def _is_letter(letter: str) -> bool:
    """Tell what a name may begin with: not from tables of letters, which boards do not have."""
    if letter < "\xa1":
        return "a" <= letter <= "z" or "A" <= letter <= "Z" or letter == "_"
    return not ("\u2000" <= letter <= "\u206f" or letter == "\u3000" or letter == "\ufeff")


def _name_end(text: str, at: int) -> int:
    at += 1
    while at < len(text) and (_is_letter(text[at]) or "0" <= text[at] <= "9"):
        at += 1
    return at


def _digits_end(text: str, at: int) -> int:
    while "0" <= text[at : at + 1] <= "9":
        at += 1
    return at


def _number_end(text: str, at: int) -> int:
    at = _digits_end(text, at)
    if text[at : at + 1] == ".":
        end = _digits_end(text, at + 1)
        at = end if end > at + 1 else at
    if text[at : at + 1] in ("e", "E"):
        start = at + 2 if text[at + 1 : at + 2] in ("+", "-") else at + 1
        end = _digits_end(text, start)
        at = end if end > start else at
    return at


def is_whole(text: str) -> bool:
    """Tell whether there are only digits."""
    return _digits_end(text, 0) == len(text)


def upper(word: str) -> str:
    """Fold a word for comparison with keywords; only ASCII letters are like their capitals."""
    for letter in word:
        if letter > "z":
            return ""
    return word.upper()
