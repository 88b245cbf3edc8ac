"""Limits and timing constants of the radio model, in the units their names say."""

# Bluetooth Core 5.4, Vol 6 Part B: 1M PHY, legacy advertising.
ADVERTISING_CHANNELS = (37, 38, 39)  # 0 to 2 in the model
ADV_DATA_MAX = 31
ADV_DELAY_MAX_US = 10_000
ADV_INTERVAL_MIN_US = 20_000
ADV_INTERVAL_MAX_US = 10_240_000
ADV_PDU_SPACING_US = 700
SCAN_INTERVAL_MIN_US = 2_500
SCAN_INTERVAL_MAX_US = 10_240_000
INITIATOR_WINDOW_US = 10_000
INTER_FRAME_US = 150
PACKET_OVERHEAD_BYTES = 10  # preamble, access address, header, CRC
BYTE_US = 8
TRANSMIT_WINDOW_OFFSET_US = 1_250
ESTABLISH_EVENTS = 6
CONNECTION_INTERVAL_MIN_US = 7_500
CONNECTION_INTERVAL_MAX_US = 4_000_000
INTERVAL_UNIT_US = 1_250
TIMEOUT_UNIT_US = 10_000
UPDATE_EVENTS = 6  # from the request for other connection parameters to their instant
SUPERVISION_MIN_US = 100_000
SUPERVISION_MAX_US = 32_000_000
LINK_PAYLOAD_MIN = 27
LINK_PAYLOAD_MAX = 251
PACKETS_PER_EVENT = 4  # each way; what an ESP32 manages beside its other work

# ATT (Vol 3 Part F)
MTU_MIN = 23
MTU_MAX = 527
ATTRIBUTE_MAX = 512
ATT_TIMEOUT_US = 30_000_000
PREPARED_MAX = 64  # prepared writes a server queues

# Host stacks
CONNECTIONS_MAX = 16
BOARD_CONNECTIONS = 4  # stock ESP32 builds
PROCEDURES_MAX = 4
TRANSMIT_BUFFERS = 16  # notifications and write commands under way in one host
TRANSMIT_QUEUE_MAX = 64
REPORT_BUFFERS = 8
ATTRIBUTES_MAX = 256
NAME_MAX = 31

# The socket
PROTOCOL_VERSION = 1
FRAME_MAX = 8_192
VALUE_ROOM = 640  # ring bytes for the longest attribute value, its header and slot rounding
OUTBOX_MAX = 256
BACKLOG_MAX_BYTES = 1 << 20
HELLO_TIMEOUT_S = 5.0
POKE_INTERVAL_S = 0.1
CLIENTS_MAX = 1_024
LAG_MAX_US = 100_000
FRAMES_KEPT = 100_000
