"""JSON text to values, for deserialize_json (SPEC 10.1): numbers keep their digits, nothing is a float."""

from .. import limits
from ..codec.decimal import Decimal
from ..errors import HedgerowError

_ESCAPES = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


def read_json(text: object) -> object:
    """Return the value of a JSON text: whole numbers as integers, others as decimals.

    Raises QUERY_DOCUMENT for what is no text or no JSON, or is nested more than 16 deep.
    """
    if not isinstance(text, str):
        raise HedgerowError("QUERY_DOCUMENT", "deserialize_json takes a text")
    reader = _Reader(text)
    value = reader.value(0)
    reader.blank()
    if reader.at < len(text):
        reader.fail()
    return value


class _Reader:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def fail(self) -> None:
        raise HedgerowError("QUERY_DOCUMENT", "no JSON at character " + str(self.at + 1))

    def blank(self) -> None:
        text = self.text
        while self.at < len(text) and text[self.at] in " \t\r\n":
            self.at += 1

    def takes(self, mark: str) -> bool:
        """Take a mark if it is next; blanks before it are passed over."""
        self.blank()
        if self.text[self.at : self.at + len(mark)] != mark:
            return False
        self.at += len(mark)
        return True

    def value(self, depth: int) -> object:
        for mark, read in (("{", self._object), ("[", self._array)):
            if self.takes(mark):
                if depth == limits.MAX_DEPTH:
                    raise HedgerowError("QUERY_DOCUMENT", "JSON nested too deeply")
                return read(depth + 1)
        if self.takes('"'):
            return self._string()
        for word, value in (("null", None), ("true", True), ("false", False)):
            if self.takes(word):
                return value
        return self._number()

    def _object(self, depth: int) -> dict:
        found = {}
        if self.takes("}"):
            return found
        while True:
            if not self.takes('"'):
                self.fail()
            name = self._string()
            if not self.takes(":"):
                self.fail()
            found[name] = self.value(depth)
            if self.takes("}"):
                return found
            if not self.takes(","):
                self.fail()

    def _array(self, depth: int) -> list:
        found = []
        if self.takes("]"):
            return found
        while True:
            found.append(self.value(depth))
            if self.takes("]"):
                return found
            if not self.takes(","):
                self.fail()

    def _string(self) -> str:
        text = self.text
        parts = []
        start = self.at
        while self.at < len(text):
            letter = text[self.at]
            if letter == '"':
                parts.append(text[start : self.at])
                self.at += 1
                return "".join(parts)
            if letter < " ":
                break
            self.at += 1
            if letter == "\\":
                parts.append(text[start : self.at - 1])
                parts.append(self._escape())
                start = self.at
        self.fail()

    def _escape(self) -> str:
        letter = self.text[self.at : self.at + 1]
        self.at += 1
        if letter != "u":
            if letter not in _ESCAPES:
                self.fail()
            return _ESCAPES[letter]
        code = self._unit()
        if 0xD800 <= code < 0xDC00 and self.text[self.at : self.at + 2] == "\\u":
            self.at += 2
            low = self._unit()
            if 0xDC00 <= low < 0xE000:
                return chr(0x10000 + ((code - 0xD800) << 10) + low - 0xDC00)
        if 0xD800 <= code < 0xE000:
            self.fail()
        return chr(code)

    def _unit(self) -> int:
        digits = self.text[self.at : self.at + 4]
        if len(digits) != 4 or not all(digit in "0123456789abcdefABCDEF" for digit in digits):
            self.fail()
        self.at += 4
        return int(digits, 16)

    def _number(self) -> object:
        text = self.text
        start = self.at
        while self.at < len(text) and text[self.at] in "+-.0123456789eE":
            self.at += 1
        found = text[start : self.at]
        digits = found[1:] if found[:1] == "-" else found
        point = digits.find(".")
        wrong = not "0" <= digits[:1] <= "9" or ("0" <= digits[1:2] <= "9" and digits[0] == "0")
        if wrong or (point >= 0 and not "0" <= digits[point + 1 : point + 2] <= "9"):
            self.at = start
            self.fail()
        try:
            number = Decimal.parse(found)
        except HedgerowError:
            raise HedgerowError("QUERY_DOCUMENT", found[:48] + " is no number that can be held") from None
        whole = point < 0 and "e" not in digits and "E" not in digits
        return number.mantissa if whole else number
