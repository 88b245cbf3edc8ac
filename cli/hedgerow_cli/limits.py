"""Limits of the command line; each names what it bounds and its unit."""

ANSWER_BYTES = 64 * 1024 * 1024  # of an HTTP answer
SIDE_CHANNEL_BYTES = 16 * 1024 * 1024  # one flash image through an emulated board's side channel
SIDE_CHANNEL_LINE_BYTES = 1024
SIDE_CHANNEL_SECONDS = 30.0
FIRST_WORD_SECONDS = 15.0  # until a board has answered at all; mpremote itself gives up after 10
MPREMOTE_SECONDS = 180.0  # one run of mpremote
RESET_SECONDS = 0.6  # after it said that it resets a board
FETCH_SECONDS = 1800.0  # a log of some megabytes over a serial port of 115,200 baud
DELIVERY_SESSION_SECONDS = 600.0  # one session that brings an exported log to a Big Peer
ESPTOOL_SECONDS = 600.0  # one run of esptool
IMAGE_BYTES = 16 * 1024 * 1024  # a MicroPython image
SAVED_FILES = 2000  # files of a board that are kept over a change of its partition table
DEMO_BOARDS = 32
DEMO_READINGS = 100_000
DEMO_CUTS = 10_000
DEMO_NODES = 5
DEMO_PATIENCE_S = 3600
PROJECT_FILE_BYTES = 128 * 1024  # a file of a project; a board's file system has 160 KiB
