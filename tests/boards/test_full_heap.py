"""A board whose heap is used up hears its radio all the same, as a chip does."""

from test_bluetooth_vm import ADVERTISE, CENTRAL, SERVER, Spawn, air, spawn

__all__ = ["air", "spawn"]


def test_events_need_no_memory(spawn: Spawn) -> None:
    """With a full heap a board lost the end of a connection."""
    server = spawn(
        1,
        SERVER
        + """
import micropython
count = [0, 0]
def tally(event, data):
    if event == 1:
        count[0] = 1
    elif event == 3:
        count[1] += 1
ble.irq(tally)
"""
        + ADVERTISE
        + """
while not count[0]:
    time.sleep_ms(1)
def wait_locked():
    began = time.ticks_ms()
    while time.ticks_diff(time.ticks_ms(), began) < 1000:
        pass
micropython.heap_lock()
wait_locked()
during = count[1]
micropython.heap_unlock()
time.sleep_ms(1500)
print("writes", during, count[1])
forever()
""",
    )
    spawn(
        2,
        CENTRAL
        + """
for n in range(5):
    ble.gattc_write(conn, 12, b"x", 0)
    time.sleep_ms(300)
forever()
""",
    )
    server.wait_for("writes 0 5")
