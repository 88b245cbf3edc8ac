"""Time: hybrid logical clocks, and the mapping of an author's stamps to real time."""
