"""Putting the firmware on a board: what it has, what it lacks, and the tools that bring it there."""
