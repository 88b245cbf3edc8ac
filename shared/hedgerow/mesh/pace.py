"""How fast the mesh engine goes: times in ms, and how often what is said (SPEC 6.18 to 6.32).

What it holds is bounded in limits.
"""

from ..limits import const

# Advertising events of a frame; after how many others heard saying it one is not said; pushes of an own
# operation in a flood.
EVENTS = const(2)
QUIET = const(2)
PUSHES = const(2)
# A turn of each in reach to say something before others do; how many at most; few neighbours; when what too
# few have passed on is said again.
TURN_MS = const(300)
MOST_TURNS = const(15)
FEW = const(3)
AGAIN_SOON_MS = const(2000)
# How long, once or twice, the way of an author's operations and seals is known: receipts follow those.
ROUTE_MS = const(900000)
# Custody: how long after a push the next one comes, at first; how long acknowledgements gather; how soon,
# once or twice that, a receipt from nearer is passed on once more; how often what was passed on is noted in
# the log; how long, once or twice, it is known as passed on; when what has no receipt is pushed again, which
# must be later.
BACKOFF_MS = const(3000)
GATHER_MS = const(200)
RECEIPT_MS = const(150000)
NOTE_MS = const(600000)
DONE_MS = const(800000)
AGAIN_MS = const(1800000)
# Questions: how often; how long something waits for the answers, which is longer than its author takes to
# push it again; how long a gateway leaves to custody what is late; how long after the first question the
# second; how soon a letter is not said again.
ASKS = const(8)
WAITING_MS = const(43200000)
LATE_MS = const(20000)
ASK_MS = const(2000)
LETTER_MS = const(6000)
# So long what was asked, and what was taken anew, is the same when it is heard again: others say it too, and
# the next question comes later.
SAME_MS = const(8000)
# The age of an unsealed operation at which the engine seals; how authors are counted, to flood no more and to
# flood again; neighbours; names and plans; at a start; before a visit; whoever lacks the time; interests.
SEAL_MS = const(3600000)
CENSUS_MS = const(3600000)
CROWD_MS = const(43200000)
AROUND_MS = const(180000)
ANNOUNCE_MS = const(3600000)
START_MS = const(3000)
# How long at most a new peer waits for somebody else's STATE before it takes part in a flood.
MEET_MS = const(10000)
VISIT_MS = const(5000)
TIME_MS = const(10000)
# So long a STATE that asks for the time may be answered.
TIME_FRESH_MS = const(3000)
# From which error on a better time is asked for; the longest wait before that, once or twice.
POOR_TIME_MS = const(1500)
TIME_MOST_MS = const(640000)
WISH_MS = const(300000)
# Who was not heard for so long is no way to a keeper.
LOST_MS = const(560000)
# So long a peer knows no way before it takes one that is longer than what it had.
APART_MS = const(130000)
# How long no revocation is looked at after one that nobody has signed: it costs two multiplications.
FALSE_WORD_MS = const(60000)
# How long after one credential of another author the next one is verified; how long its parts are waited for.
VOUCH_MS = const(10000)
VOUCH_OPEN_MS = const(120000)
# How long one is not asked for again.
VOUCH_AGAIN_MS = const(600000)
# How long who has a newer group key still speaks under the one before, and hears it after that.
HANDOVER_MS = const(30000)
GRACE_MS = const(180000)
# STATE: the shortest interval at a start and later, the longest one in a flood and without one; how long what
# differs may be on its way; the longest wait until HAVE tells again what has not changed.
STATE_MIN_MS = const(1000)
STATE_BUSY_MS = const(4000)
STATE_MAX_MS = const(64000)
STATE_CALM_MS = const(128000)
STATE_SETTLE_MS = const(5000)
# Who is heard again after so long is in reach.
STEADY_MS = const(10000)
HAVE_MAX_MS = const(256000)
# A log that was full is taken to be full for so long.
FULL_MS = const(60000)
# And so often it is looked whether a log has room again.
LOOK_MS = const(10000)
# A leaf listens so long after it spoke or was spoken to, and in one wake at most; how often it wakes
# without a plan, and pushes while it is awake.
LEAF_WINDOW_MS = const(1500)
LEAF_MOST_MS = const(12000)
LEAF_PERIOD_MS = const(60000)
LEAF_BACKOFF_MS = const(700)
# So long after it was sealed and pushed a leaf asks for its receipt more often.
RECEIPT_LATE_MS = const(300000)


def longest_wake(period: int) -> int:
    """Return for how many ms a leaf is awake at most: the next wake, in which its program runs, must come."""
    return min(LEAF_MOST_MS, (period or LEAF_PERIOD_MS) * 3 // 4)
