"""Every limit of the formats in one place; what is over a limit is refused with a code (SPEC 1.10)."""

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
MAX_OPERATION = const(3500)
MAX_CHANGES = const(64)
MAX_FIELDS = const(64)
MAX_NAME = const(64)
MAX_SEGMENT_OPERATIONS = const(256)
MAX_UNSET_PATHS = const(64)
MAX_PATH = const(8)
MAX_VALUE_DEPTH = const(8)
MAX_SEGMENT_BYTES = const(8192)
MAX_ID = const(128)

# Clocks
MAX_NUMBER = const(0xFFFFFFFF)
DRIFT_PPM = const(100)

# Peers and links
MAX_RECORD = const(1200)
MAX_AUTHORS = const(64)
MAX_SCHEMAS = const(64)
SEAL_EVERY = const(32)

# Documents and queries
MAX_WAITING = const(64)
SLICE_DOCUMENTS = const(16)
KEPT_STATEMENTS = const(8)
SUBSCRIPTION_HOPS = const(3)

# Custody, beacons, sessions
FLOOD_AUTHORS = const(64)
FLOOD_AGAIN_AUTHORS = const(48)
MAX_BUCKETS_LOG2 = const(3)
MAX_SEAL_OPERATIONS = const(256)
MAX_FRAME = const(3800)
MIN_RECORD = const(128)
FIRST_RECORD = const(512)
MAX_CREDIT = const(0xFFFFFF)
MIN_CREDIT = const(512)
MAX_KEEPERS = const(3)
MAX_INTERESTS = const(16)
MAX_INTEREST = const(640)
MAX_CONDITION = const(256)
MAX_INTEREST_HOPS = const(7)
MAX_WANTS = const(16)
MAX_WANT_NUMBERS = const(256)
MAX_FRONTIER = const(256)
MAX_NEIGHBOURS = const(16)
MAX_PEER_NAME = const(32)
MAX_CODE = const(32)
HELLO_TIMEOUT_MS = const(10000)
IDLE_TIMEOUT_MS = const(60000)
KEEPALIVE_MS = const(20000)
DISTANCE_EXPIRY_MS = const(600000)
SEAL_DELAY_MS = const(1000)
GOOD_TIME_MS = const(1000)
ASK_AGAIN_MS = const(2000)
MAX_EXCHANGE_MS = const(120000)
NEIGHBOUR_FRESH_MS = const(10000)
STABLE_AGE_MS = const(7776000000)
INTEREST_EXPIRY_MS = const(86400000)
MARK_EVERY_MS = const(10000)
AHEAD_MS = const(300000)
MAX_BACKOFF_DOUBLINGS = const(5)

# Statements
MAX_STATEMENT = const(1024)
MAX_STATEMENT_DEPTH = const(20)
MAX_LISTED = const(64)
MAX_ANSWER_ROWS = const(64)
MAX_LOOKED_AT = const(20000)
MAX_PARAMETERS = const(16)
