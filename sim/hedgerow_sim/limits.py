"""Limits and durations of simulations; each name says its unit."""

# Operations of one board's log beside what it must keep, as a ring of 64 KiB holds about as many.
LOG_ENTRIES = 1024
# How often what does not announce itself is looked at: whom to visit, and whether to sleep.
VISIT_EVERY_MS = 1000
# A turn comes no later than this, so that a broken engine cannot sleep for ever.
LONGEST_TURN_MS = 300_000
# What a budget allows is asked so often at least.
BUDGET_TURN_MS = 60_000
# An engine that has something due at once, for ever, would stop virtual time.
SHORTEST_TURN_MS = 5
# So many turns in a row may find nothing to do and be wanted again at once.
IDLE_TURNS = 20
TICK_US = 50_000
ADVERTISE_US = 100_000
# As hedgerow_device.radio scans. With 100 ms, as far apart as advertising events, the phases of successive
# events hardly move: at half duty a listener would miss all of three as often as two of five times.
SCAN_INTERVAL_US = 220_000
CALLED_US = 50_000
CALLED_EVENTS = 20
# GATT: what a connection needs before the first byte of ours (MTU exchange, discovery, subscription), as
# round trips of two connection events each; what hedgerow_device.central does.
SETUP_ROUND_TRIPS = 9
CONNECT_TIMEOUT_US = 2_000_000
CONNECTION_INTERVAL_US = 30_000
SUPERVISION_US = 2_560_000
RECORD_BYTES = 640
LINGER_MS = 300
# A session that does not move ends.
SESSION_IDLE_MS = 15_000
CONNECTIONS = 4
# The uplink of a gateway: a message takes so long, and changes of so long go together.
UPLINK_US = 50_000
UPLINK_GATHER_US = 500_000
# Charge: what a day may take beyond the budget that it was told.
BUDGET_TOLERANCE = 0.05
# Frames that a radio may say for each reading that was made, and each board, in an hour, and besides: more is
# a storm, in which something is said for ever.
TALK = 8
SMALL_TALK = 1000
# Frames kept of a failing run, for its report.
EVENTS_KEPT = 200
# Readings that did not arrive, named in a report.
NAMED = 20
# Points of a curve.
CURVE_POINTS = 240
BOARDS = 20_000
HOURS = 24 * 366
# Stations looked at as a whole at each point of the curve.
LOOKED_AT = 20
# Objects made and not dropped before garbage is looked for.
GARBAGE = 50_000
