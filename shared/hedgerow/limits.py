"""Every limit in one place; tests/core/test_limits.py goes to each and one over it.

What a stranger sends over a limit is refused with a code (SPEC 1.10). Tables that make room say so here.
"""

try:
    from micropython import const
except ImportError:

    def const(value: int) -> int:
        """Stand in for MicroPython's compile-time constant."""
        return value


# CBOR items
MAX_DEPTH = const(16)
MAX_ARRAY = const(1024)
MAX_MAP = const(256)
MAX_TEXT = const(4096)
MAX_EXPONENT = const(127)

# Operations, schemas and segments
MAX_NUMBER = const(0xFFFFFFFF)
MAX_OPERATION = const(3500)
MAX_CHANGES = const(64)
MAX_FIELDS = const(64)
MAX_NAME = const(64)
MAX_PATH = const(8)
MAX_UNSET_PATHS = const(64)
MAX_VALUE_DEPTH = const(8)
MAX_ID = const(128)
MAX_SEGMENT_OPERATIONS = const(256)
MAX_SEGMENT_BYTES = const(8192)
MAX_SEAL_OPERATIONS = const(256)

# What a peer remembers. Own schemas and those learnt from others are MAX_SCHEMAS together; who judges by
# credentials takes no more from authors without one when MAX_STRANGE_SCHEMAS are in use.
# All authors without a verified credential have MAX_STRANGE_BYTES of open operations together in the log of a
# board that is full, and MAX_STRANGE_AUTHORS of its places; a gateway has HOST_SHARES times as many places.
# MAX_AUTHORS: in one vector, in the log of a board, refused in one session; and as many authors that the log
# does not hold may have receipts, or name keepers. MAX_KNOWN_KEEPERS: whose incarnation is remembered.
# MAX_FRONTIER: authors in a stability frontier, which fits a frame whatever their numbers.
# MAX_RECEIPTS: for each author in the log, and MAX_AUTHORS besides; those of required keepers always.
MAX_AUTHORS = const(64)
MAX_SCHEMAS = const(64)
MAX_LEARNT_SCHEMAS = const(56)
MAX_STRANGE_SCHEMAS = const(28)
MAX_STRANGE_BYTES = const(4096)
MAX_STRANGE_AUTHORS = const(32)
HOST_SHARES = const(256)
MAX_KEEPERS = const(3)
MAX_KNOWN_KEEPERS = const(16)
MAX_RECEIPTS = const(4)
MAX_FRONTIER = const(240)
# Takers that a keeper waits for; more begin anew if something went by them.
MAX_TAKERS = const(16384)

# Records, frames and hellos
MAX_RECORD = const(1200)
MIN_RECORD = const(128)
FIRST_RECORD = const(512)
MAX_FRAME = const(3800)
MIN_CREDIT = const(512)
MAX_CREDIT = const(0xFFFFFF)
# Frames without credit that wait to be sent: answers for which the other side has no ear.
MAX_FREE_FRAMES = const(64)
MAX_PEER_NAME = const(32)
MAX_CODE = const(32)
MAX_BUCKETS_LOG2 = const(3)

# The way down. MAX_CONDITION: bytes of the text, and again of the parameters.
MAX_INTERESTS = const(16)
MAX_INTEREST = const(640)
MAX_CONDITION = const(256)
MAX_PARAMETERS = const(16)
MAX_INTEREST_HOPS = const(7)
SUBSCRIPTION_HOPS = const(3)
MAX_WANTS = const(16)
MAX_WANT_NUMBERS = const(256)
# Positions at stores; the one that was set longest ago makes room.
MAX_MARKS = const(128)
INTEREST_EXPIRY_MS = const(86400000)
MARK_EVERY_MS = const(10000)

# Neighbours: who was not heard for longest makes room.
MAX_NEIGHBOURS = const(16)
NEIGHBOUR_FRESH_MS = const(10000)
MAX_BACKOFF_DOUBLINGS = const(5)
DISTANCE_EXPIRY_MS = const(600000)
# Changes of which is known whose they were.
KEPT_CHANGES = const(16)
# Open operations flood while so many authors have any, and after more had any, from so many on.
FLOOD_AUTHORS = const(64)
FLOOD_AGAIN_AUTHORS = const(48)

# The mesh. MAX_NAMES: authors known by name; MAX_LETTERS: being put together; who was unheard of for longest
# makes room. CHANNEL_EVENTS: advertising events a second that peers in reach of each other have together.
MAX_FRAGMENTS = const(8)
MAX_LETTER = const(255)
MAX_LETTERS = const(8)
MAX_NAMES = const(96)
CHANNEL_EVENTS = const(100)

# Sessions, sealing and time
HELLO_TIMEOUT_MS = const(10000)
IDLE_TIMEOUT_MS = const(60000)
KEEPALIVE_MS = const(20000)
MAX_EXCHANGE_MS = const(120000)
SEAL_EVERY = const(32)
# Authors of one log in its life; how far above what is held an own one may be said to have come; how long a
# closed one waits for survivors.
MAX_OWN_AUTHORS = const(16)
MAX_CLOSED_GAP = const(4096)
CLOSING_DELAY_MS = const(10000)
SEAL_DELAY_MS = const(1000)
# So long what is not sealed is given up once at most for a seal that does not fit; longer than relays know
# frames as passed on.
DOUBT_MS = const(1800000)
GOOD_TIME_MS = const(1000)
ASK_AGAIN_MS = const(2000)
DRIFT_PPM = const(100)
STABLE_AGE_MS = const(7776000000)
AHEAD_MS = const(300000)

# Documents and statements. Of documents that wait for their time observers are told of so many when it comes.
MAX_WAITING = const(64)
SLICE_DOCUMENTS = const(16)
MAX_OBSERVERS = const(64)
# Statements that need no parsing again; one more takes the place of all.
KEPT_STATEMENTS = const(8)
MAX_STATEMENT = const(1024)
MAX_STATEMENT_DEPTH = const(20)
MAX_LISTED = const(64)
# Rows of an answer: of one that says nothing else, and of a peer's application. A statement that changes
# documents is about as many at most.
MAX_ANSWER_ROWS = const(64)
MAX_RESULT_ROWS = const(10000)

# The mesh engine. What has no room is said again by others, or asked for later; how fast it goes is in
# mesh.pace.
# MAX_SAYINGS: in the queue; MAX_CUSTODY: frames of others, of which one author takes MESH_SHARE, or
# MESH_SPARE more for what came before the rest; MESH_WINDOW: own frames pushed at a time.
MAX_SAYINGS = const(24)
MAX_CUSTODY = const(64)
MESH_WINDOW = const(8)
MESH_SHARE = const(12)
MESH_SPARE = const(4)
# Frames heard, done with, letters that were whole, authors whose way back is known, receipts passed on
# lately: they forget the oldest.
MESH_SEEN = const(256)
MESH_DONE = const(512)
MESH_LETTERS = const(64)
MESH_ROUTE = const(256)
MESH_LATELY = const(128)
# Frames that may be taken, that wait for something missing; questions; addresses whose last word is known;
# letters that can be said again; leaves whose receipts a relay holds.
MESH_PENDING = const(12)
MESH_WAITING = const(32)
MESH_WANTS = const(24)
MESH_ADDRESSES = const(32)
MESH_SAID_LETTERS = const(4)
MAX_LEAVES = const(16)
# Those to whom the time is still to be said.
MESH_ASKERS = const(8)
# Interests said at once, what of their operations is told to be here, how many answer one.
MESH_WISHES = const(4)
MESH_MARKS = const(12)
MESH_ANSWERS = const(6)

# Cryptography: keys made ahead for handshakes to come; a handshake's message; a connection identifier or a
# name of a credential; admissions that are remembered, lest they are said again.
MAX_EPHEMERALS = const(2)
MAX_HANDSHAKE = const(4096)
MAX_IDENTIFIER = const(8)
MAX_ADMITTED = const(16)
# Credentials: the whole; issuer's and subject's names; entries of a scope; the encoded metadata; those that
# are known to be good.
MAX_CREDENTIAL = const(2048)
MAX_SUBJECT = const(128)
MAX_SCOPE = const(16)
MAX_METADATA = const(1024)
MAX_CREDENTIALS = const(32)
# Keys of confidential collections, over all of their epochs, that a peer has.
MAX_COLLECTION_KEYS = const(32)
# Revocations, and issuers, that a peer keeps and passes on: the newest ones.
MAX_WORDS = const(32)
# How long who hangs up waits for the words that the other side has and has not said.
WORDS_MS = const(2000)
MAX_ISSUERS = const(4)
# Of these, how many that are news wait to be said in advertisements.
MAX_FRESH = const(4)
# Authors in a batch receipt, which has to fit the credit of a board; batches that a gateway keeps for others.
MAX_BATCH = const(48)
MAX_BATCHES = const(8)
# Of one that goes as a letter, bytes; seconds between two of them, a little less than the hour in which there
# is one at most.
MAX_FOLDED = const(127)
BATCH_APART_S = const(3000)
# Parts in which a credential goes, each a letter; of those that were refused, how many a board remembers. Of
# those that were verified, how many it keeps, and how many besides that found no place in its log.
MAX_PARTS = const(4)
MAX_REFUSED = const(8)
MAX_VOUCHED = const(32)
MAX_BELIEVED = const(8)
# Records under one key. Peers that can be met again without a handshake, contacts until there is one all the
# same, and how long after its end a credential is good for that.
REKEY_RECORDS = const(16384)
MAX_RESUMABLES = const(32)
RESUME_CONTACTS = const(64)
RESUME_GRACE_S = const(604800)
# Before keys: bytes, handshakes on one connection; until its first message, until all is done.
MAX_UNPROVEN = const(4096)
MAX_ATTEMPTS = const(3)
FIRST_MESSAGE_MS = const(2000)
HANDSHAKE_MS = const(10000)
