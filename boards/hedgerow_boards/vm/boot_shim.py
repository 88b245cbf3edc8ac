"""What an emulated board's VM runs first: makes the process a board, then runs boot.py and main.py.

Its globals become those of boot.py, main.py and the REPL, so it leaves nothing in them.
"""

from bringup import start

start(globals())
