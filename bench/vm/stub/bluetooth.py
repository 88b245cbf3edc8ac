"""Stands in for MicroPython's `bluetooth` where only the room that the firmware's modules take is measured."""

FLAG_WRITE_NO_RESPONSE = 4
FLAG_NOTIFY = 16


class UUID:
    """Takes the place of the real one."""

    def __init__(self, value: object):
        self.value = value
