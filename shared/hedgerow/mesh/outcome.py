"""What becomes of something that was heard, and why it waits."""

TAKEN = 0
KNOWN = 1
WAITS = 2
REFUSED = 3

# Why it waits: operations before it, its author's whole name, its schema; or it has to come as a letter,
# because too little is known of the moment before it.
GAP = 4
AUTHOR = 5
SCHEMA = 6
WHOLE = 7
