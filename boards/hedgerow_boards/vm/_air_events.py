"""Frames of the air as the events that a program's handler gets, and the call of it."""

import struct
import sys

from _air_values import UUID, blank

# struct formats of the fields that lead an event, by its number; 5 and 6 are laid out in unpack().
_HEADS = {
    1: "<HB",
    2: "<HB",
    3: "<HH",
    4: "<HH",
    7: "<HB",
    8: "<HB",
    9: "<HHH",
    10: "<HH",
    11: "<HHHH",
    12: "<HH",
    13: "<HH",
    14: "<HH",
    15: "<HH",
    16: "<HHH",
    17: "<HHH",
    18: "<HH",
    19: "<HH",
    20: "<HHH",
    21: "<HH",
    27: "<HHHHH",
}
# Host codes of procedures that their link took along: it is all that is known of them (7, 13).
_LINK_GONE = (7, 13)


def unpack(code, frame, size):
    """The event's tuple, () of a frame that is none; what is a memoryview or a UUID in it is the frame's, and
    blanked with it.
    """
    if code == 5:
        rssi = frame[9] - 256 if frame[9] > 127 else frame[9]
        return (frame[1], frame[2:8], frame[8], rssi, frame[10:size])
    if code not in _HEADS:
        return ()
    head = struct.unpack_from(_HEADS[code], frame, 1)
    if code in (1, 2, 7, 8):
        return head + (frame[4:10],)
    if code in (16, 17) and head[2] in _LINK_GONE:
        return (head[0], 0, head[2])
    at = 1 + 2 * len(head)
    if code in (9, 11, 13):
        return head + (UUID(frame[at:size]),)
    return head + (frame[at:size],) if code in (15, 18, 19) else head


class Caller:
    """Calls the handler; one that raises is printed and forgotten."""

    def __init__(self):
        self.handler = None

    def __call__(self, code, data):
        if self.handler is None:
            return None
        try:
            return self.handler(code, data)
        except KeyboardInterrupt:
            raise  # Ctrl-C, which on a board does not end up in here
        except BaseException as error:
            print("Unhandled exception in IRQ callback handler")
            sys.print_exception(error)
            self.handler = None
            return None
        finally:
            for item in data:
                if isinstance(item, UUID):
                    blank(item)


def verdict(result):
    """What a handler says to a read request: 0 to allow it, else an ATT error."""
    return int(result) & 0xFF if isinstance(result, (int, bool)) else 0
