"""Limits of the board emulator; each names what it bounds and its unit."""

BOOT_SECONDS = 10.0  # from a start of the VM until the file system is mounted
RETRY_SECONDS = 1.0  # until a VM that the host could not start is tried again
CONSOLE_LINES = 20_000  # kept per board; older ones are dropped
CONSOLE_LINE_BYTES = 4_096  # a longer line is split
PORT_OUTPUT_BYTES = 256 * 1024  # waiting for a reader of the serial port; what is beyond is dropped
PORT_INPUT_BYTES = 64 * 1024  # waiting for the VM; beyond, the port is not read
EVENT_BYTES = 8 * 1024 * 1024  # one message of a VM to its supervisor: a program of a whole flash
SAMPLES = 1_000_000  # sensor samples remembered per board
SERIES_VALUES = 1_000_000  # values in a recorded series
FLASH_BYTES = 16 * 1024 * 1024
PARTITIONS = 95  # entries that fit a table of 0xC00 bytes with its MD5
INTERRUPT_TRIES = 40  # times a Ctrl-C is sent, INTERRUPT_SECONDS apart
INTERRUPT_SECONDS = 0.05
