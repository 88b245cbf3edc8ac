"""Every limit of the gateway in one place: sizes in bytes, times as their names say."""

# SQLite log
LOG_BYTES_DEFAULT = 4 << 30
LOG_BYTES_MIN = 1 << 20
PAGE_BYTES = 4096
WAL_KEPT_BYTES = 8 << 20
OPEN_WAIT_S = 5.0
RECLAIM_HIGH_PERCENT = 90
RECLAIM_LOW_PERCENT = 80
LOG_FULL_PERCENT = 95  # from here on a program's own operations are refused, or others make room
ENTRY_BYTES = 128  # what an operation takes besides twice its body, at most
RECLAIM_BATCH = 1000
RECLAIM_EVERY_S = 10.0
LOG_AUTHORS = 65_536
INDEX_BEHIND = 256  # arrivals that the document index may have to catch up with after opening

# Radio
DEVICES = 512  # addresses remembered from adverts, least recently heard out first
SEEN_DEVICES = 4096  # addresses bleak may gather before its scanner is started anew
CONNECTIONS_MAX = 16
CONNECT_S = 20.0
CALL_S = 10.0
CANCEL_GRACE_S = 1.0
SILENCE_S = 90.0  # no advert at all for so long means a deaf scanner (Home Assistant uses the same)
SILENCE_MAX_S = 1800.0
SILENCE_STAGES = 8
SCANNER_RETRY_S = 5.0
SCANNER_RETRY_MAX_S = 300.0
SCANNER_FAILURES = 3  # so many failed starts in a row, and the adapter is switched off and on
POWER_CYCLE_S = 30.0
PAYLOAD_BYTES = 31  # of a legacy advertisement
EVENTS_MAX = 100
LAG_MS = 20  # from a decision to say something to the air, at least
INTERVAL_MS = 100  # between advertising events, to which the controller adds 0 to 10 ms each time
SLOWEST_INTERVAL_S = 1.28  # Linux' interval where a program cannot set one (hdev->le_adv_min_interval)
PULSE_S = 0.03  # an advertisement registered for one event: it comes within 10 ms
SAY_S = 15.0  # what a say may take besides its events
HEARD_MAX = 1024  # advertisements that may wait to be taken in
GATHER_S = 0.03  # what comes within so long becomes durable with one fsync
SPEAK_PAUSE_S = 0.005
HOURLY_MS = 3_600_000  # where receipts cannot be said: between visits to a board that waits for them
HOURLY_RETRY_MS = 300_000
VOICE_FAILURES = 3  # so many failures to advertise in a row, and the adapter is switched off and on
VOICE_RETRY_S = 5.0
VOICE_RETRY_MAX_S = 300.0

# A board on USB as the radio
USB_RETRY_S = 0.5
USB_RETRY_MAX_S = 30.0
USB_GREETINGS = 4
USB_ANSWER_S = 2.0
USB_BOOT_S = 1.0  # from a soft reset to a program that listens
USB_LOOK_S = 0.2
USB_KEEP_S = 1.0
USB_SILENCE_S = 5.0  # the board says how it is each second
USB_READ_S = 0.1
USB_CHUNK = 4096

# Mesh
MESH_SECRET = 20  # characters at least of a mesh's secret: nobody is to try them all

# Links
INBOX_BYTES = 64 << 10
CREDIT_BYTES = (
    16 << 10
)  # counted bytes a board or the Big Peer may send before the log has them; under INBOX_BYTES
CHUNK_MIN = 20  # ATT_MTU 23 less 3 bytes of header (Bluetooth Core 5.4, Vol 3 Part F 3.4.5.3)
CHUNK_MAX = 512  # longest attribute value (same, 3.2.9)
LOOK_S = 0.5
SESSION_S = 600.0
STALL_S = 10.0
LINGER_MS = 300
HOLD_OFF_MS = 2000

# Uplink
MESSAGE_BYTES = 4096  # a session record is 1,200 bytes; more than this is refused by the socket itself
UPLINK_OPEN_S = 10.0
UPLINK_CLOSE_S = 2.0
UPLINK_SEND_S = 60.0
UPLINK_PING_S = 20.0
BACKOFF_FIRST_S = 0.5
BACKOFF_MAX_S = 60.0
STEADY_S = 10.0  # a session that lived so long counts as a success and resets the backoff

# Enrolment
ENROLMENT_S = 30.0
RENEWAL_LOOK_S = 60.0
ENROLMENT_BYTES = 65_536
DELEGATED_LOOK_S = 2.0  # between looks for boards that another process has enrolled
COUNTERSIGN_BYTES = 3072  # of credentials in one request: the Big Peer takes 4 KiB of a stranger
FORKS = 16  # authors of which evidence waits for the Big Peer
REFUSAL_S = 2.0  # the end of a socket says why a handshake was refused; so long it may take

# Time
TIME_EVERY_S = 30.0
HEALTH_LOOK_S = 1.0
PLACE_CHARACTERS = 64

# What radios do that no honest peer does
SUSPECTS = 64  # pairs of a code and an address
SUSPECTS_CODE = 12  # addresses of one code; the others are one number
SUSPECTS_TOLD = 24  # of a health document
SUSPECTS_STATES = 1024
SUSPECTS_SAID = 4096
SUSPECTS_RECEIPT_MS = 10_000  # from a receipt that is said to one of less that shows that it was made up
SUSPECTS_TIME_MS = 60_000  # beyond both errors: it may have waited here
SUSPECTS_FIRST_MS = 3000
SUSPECTS_PAUSE_MS = 3_600_000  # between two that are told because of it, at most
SUSPECTS_CALM_MS = 3_600_000  # after so long without news the next is told at once
STATED_ERROR_MS = 50

# Process
STOP_S = 10.0
NAMES = 1024  # author names remembered for the status page

# Peers of programs
OBSERVER_CHANGES = 1000  # changes that may wait for their reader
DELIVERED_LOOK_S = 0.02
DISPATCH_S = 1.0  # between looks whether an operation's time has come
