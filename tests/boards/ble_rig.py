"""A peripheral and a central for tests of the emulated `bluetooth`: programs for VMs, and the handles."""

from air_rig import VM_PRELUDE

PERIPHERAL = (
    VM_PRELUDE
    + """
RW, NOTIFY = 0x0E, 0x32
((value_h, tell_h, note_h, no_reply_h, secret_h),) = ble.gatts_register_services((
    (UUID(0x180D), (
        (UUID(0xAA01), RW),
        (UUID(0xAA02), NOTIFY, ((UUID(0x2901), 0x0A),)),
        (UUID(0xAA03), 0x04),
        (UUID(0xAA04), 0x0202),
    )),
))
def advertise():
    ble.gap_advertise(30000, b"\\x02\\x01\\x06", resp_data=b"\\x05\\x09node")
"""
)
VALUE, TELL, SWITCH, NOTE, NO_REPLY, SECRET = 12, 14, 15, 16, 18, 20
CENTRAL = (
    VM_PRELUDE
    + """
ble.gap_connect(0, b"\\xc0\\0\\0\\0\\0\\x01")
conn = wait(7)[0]
"""
)
