"""Every limit of the Big Peer; what is over one is refused with a code and changes nothing."""

# Statements and answers over HTTP
BODY_BYTES = 1 << 20
ARGUMENTS = 256
VALUE_DEPTH = 16
ANSWER_ROWS = 100_000
STATEMENT_SECONDS = 20.0
STATEMENTS_AT_ONCE = 4
CHANGES_AT_ONCE = 64
OWN_BATCH = 64
SLICE_DOCUMENTS = 200
FILTERED_DOCUMENTS = 3200
INDEXES = 32
ORDERED_ROWS = 1000
LOOKED_UP = 256
THREADS = 4
NODES = 256
FOLLOW_SECONDS = 0.05
FOLLOW_AGAIN_SECONDS = 1.0
TRANSACTION_WAIT_SECONDS = 2.0
PAGE_DOCUMENTS = 100
MOST_PAGE_DOCUMENTS = 1000
SERIES_MS = 3_600_000
SERIES_FIELDS = 16
SERIES_WINDOWS = 10_000
CHANGES_WAIT_SECONDS = 30
CHANGES_STREAMS = 64
CALLERS = 10_000
BRIDGES = 100
BRIDGE_SOURCES = 100
BRIDGE_BATCH = 1000
BRIDGE_ROWS = 500
BRIDGE_LOOK_SECONDS = 1.0
BRIDGE_LEASE_MS = 15_000
BRIDGE_WAIT_SECONDS = 60.0
BRIDGE_DELIVER_SECONDS = 30.0
BRIDGE_SHOWN = 100
ANSWER_MS = 86_400_000
ANSWER_KEY = 255
CHANGES_SCANNED = 5000
LIVE_QUERIES = 64
# Of each kind of stream: live answers, changes, pages.
STREAMS_PER_CALLER = 16
LIVE_ROWS = 10_000
LIVE_READINGS = 16
# What the loop does itself.
LIVE_FEW_TOUCHED = 8
LIVE_FEW_ROWS = 256
LIVE_QUIET_SECONDS = 15.0
# How often a stream looks whether its reader may still read.
LIVE_ASK_SECONDS = 3.0

# Sync
CONNECTIONS = 256
UNPROVEN = 192
SOCKET_MESSAGE_BYTES = 65_536
INBOX_MESSAGES = 64
CREDIT_BYTES = 65_536
BATCH_ENTRIES = 1024
SCHEMAS = 4096
TAKE_ENTRIES = 1024
AUTHORS = 65_536
SESSION_AUTHORS = 4096
SESSION_REFUSED = 1024
# Operations that wait for a seal, of one author and of all of a session.
UNSEALED = 1024
SESSION_UNSEALED = 16_384
REFUSED_AUTHORS = 1024
SEND_SECONDS = 30.0
GOODBYE_SECONDS = 1.0
SHUTDOWN_SECONDS = 5
# All of it, from the signal to the end of the process: what starts and stops nodes must give it so long.
DRAIN_SECONDS = 20
DOWN_DOCUMENTS = 64
DOWN_BYTES = 16_384
WANTS = 256
PICK_BYTES = 2048
PICK_OPERATIONS = 128
SENT_DOTS = 8192

# Forgetting
DAY_MS = 86_400_000
RETIRE_MS = 90 * DAY_MS
COLLECT_EVERY_MS = 3_600_000
LOST_LOOK_MS = 60_000
LOST_RANGES = 1000
CLOCK_CHECK_MS = 60_000
COLLECT_DOCUMENTS = 500
TRIMMED_CHANGES = 5000
# Readings that are not kept for ever: collections, and ms. A step is one transaction.
RETAINED = 256
RETAIN_LEAST_MS = 3_600_000
RETAIN_MOST_MS = 36_500 * DAY_MS
EXPIRE_EVERY_MS = 600_000
#: As long is a live answer of one node wrong at most when another has died while readings expired.
EXPIRE_HEED_SECONDS = 15.0
EXPIRE_DOCUMENTS = 100
EXPIRE_OPERATIONS = 1000
# Clock records of an author that are looked at for what a mapping corrects: at first, and if these do not
# say.
CORRECTED_BY = 256
CORRECTED_BY_MOST = 4000

# Status page
PLOT_POINTS = 600
PLOT_SERIES = 12
SHOWN_NAME = 64
SHOWN_ROWS = 200
SHOWN_COLUMNS = 32
SHOWN_CHARACTERS = 300
# What is sent of a statement that a page follows: it stands in an address.
FOLLOWED_CHARACTERS = 2000
PAGE_STREAMS = 64
PAGE_SECONDS = 2.0
PAGE_QUIET_SECONDS = 4.0
PAGE_STATEMENTS = 2
STATUS_AUTHORS = 1000
DUE_SECONDS = 100_000_000
# Who says that it will write again is overdue after twice that, and so much more for the way.
DUE_TURNS = 2
DUE_WAY_SECONDS = 60

# Who may do what: credentials (seconds, bytes, counts)
DAY_S = 86_400
CREDENTIAL_BYTES = 1920
CREDENTIAL_SECONDS = 30 * DAY_S
CREDENTIAL_LEAST_SECONDS = 60
METADATA_BYTES = 1024
SCOPE_ENTRIES = 16
USER_ID_BYTES = 128
CHALLENGE_SECONDS = 60
RENEWAL_SECONDS = 30 * DAY_S
ISSUER_OVERLAP_SECONDS = 45 * DAY_S
DELEGATION_SECONDS = 30 * DAY_S
DELEGATION_PEERS = 10_000
# Of one sealing key within DELEGATION_SECONDS, also of those that have ended by then: each is a word of its
# own when the key is revoked, and boards keep 32.
DELEGATIONS = 4
CLOCK_SKEW_SECONDS = 60
TOKEN_SECONDS = 8 * 3600
COUNTERSIGNED_AT_ONCE = 64
LISTED_ROWS = 1000

# Sessions with keys
KNOWN_CREDENTIALS = 4096
REVOCATION_LOOK_SECONDS = 1.0
# What was receipted in a session is signed so seldom, once no receipt was given for so long.
BATCH_SECONDS = 3600.0
#: Authors in one that a gateway says in a letter: four always fit.
BATCH_LETTER = 4
BATCH_QUIET_SECONDS = 2.0

# Confidential collections of an app, so that one key of each fits; the bytes of all that somebody is granted,
# which are one operation.
CONFIDENTIAL_COLLECTIONS = 24
GRANT_BYTES = 3200

# API keys
API_KEY_SECONDS = 365 * DAY_S
API_KEY_NAME = 63
API_KEYS = 10_000  # of an app, with those that ended, which make room

# Identity providers
PROVIDER_SECONDS = 5.0
PROVIDER_ANSWER_BYTES = 65_536
PROVIDER_CALLS_AT_ONCE = 16
PROVIDERS = 32
JWKS_KEYS = 32
JWKS_SECONDS = 3600.0
JWKS_AGAIN_SECONDS = 30.0
JWKS_FAILED_SECONDS = 5.0
PROVIDER_TOKEN_BYTES = 3072

# Before anybody is known: bytes and seconds of a connection, sockets of an address
UNKNOWN_BYTES = 4096
FORK_BYTES = 6144  # of a request with evidence: a seal covers up to 256 operations
UNKNOWN_SECONDS = 10.0
SOCKETS_PER_ADDRESS = 64
BODY_SECONDS = 30.0

# Logins of people
PASSWORD_LEAST = 10
PASSWORD_BYTES = 256
SESSION_SECONDS = 12 * 3600
SESSIONS = 10_000
WRONG_PASSWORDS = 10
WRONG_PASSWORDS_SECONDS = 300.0
HASHES_AT_ONCE = 2
OIDC_STATE_SECONDS = 600
AUDIT_PAGE = 200
SUSPECTS = 32  # of one health document
SUSPECTS_KNOWN = 4096  # of all, whose counts are remembered
SUSPECTS_LOOK_SECONDS = 1.0
AUDIT_REFUSALS = 30
AUDIT_REFUSALS_SECONDS = 60
AUDIT_TOLD = 300  # of what a peer tells of others
AUDIT_TOLD_SECONDS = 86_400
AUDIT_ACTORS = 256

# An app that moves to another PostgreSQL: it is caught up with until so few rows are left of a round, or so
# many rounds are over; then its writers are refused for so long at most.
MOVE_ROUNDS = 20
MOVE_ROWS_LEFT = 500
MOVE_FREEZE_MS = 10_000
# A trigger goes when nobody reads its table. Who waits for that holds up all who come after, so it waits for
# so long at most, and tries so often, with pauses in which they go on; at last for so long that autovacuum,
# which does after a second, gives way.
MOVE_LOCK_MS = 300
MOVE_LOCK_LAST_MS = 1500
MOVE_LOCK_TRIES = 60
MOVE_LOCK_PAUSE_SECONDS = 0.7
