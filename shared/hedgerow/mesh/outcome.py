"""What becomes of something that was heard, and why it waits."""

TAKEN = 0
KNOWN = 1
WAITS = 2
REFUSED = 3

# Why: operations before it, its author's whole name, its schema; or it has to come as a letter, because too
# little is known of the moment before it; or it may be an operation that was here.
GAP = 0
AUTHOR = 1
SCHEMA = 2
WHOLE = 3
GONE = 4
