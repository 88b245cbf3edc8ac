"""Stands in for MicroPython's `bluetooth` where the room that the firmware takes is measured."""

FLAG_WRITE_NO_RESPONSE = 4
FLAG_NOTIFY = 16


class UUID:
    """Takes the place of the real one."""

    def __init__(self, value: object):
        self.value = value
