"""Layout of the page of memory that an emulated board's VM and its supervisor share.

Read by both sides: offsets in bytes from the start of the mapping, 64-bit little-endian words.
"""

FIELDS = (
    "programmed",  # bytes programmed into flash since the image was made
    "programs",  # program operations
    "read",  # bytes read
    "erases",  # sectors erased
    "overwrites",  # programs that met a cleared bit which they were to set
    "cut_kind",  # armed power cut: 0 none, 1 within a program, 2 within an erase
    "cut_left",  # bytes still to program, or erases still to begin, before the cut
    "cut_low",  # flash range in which operations count towards the cut
    "cut_high",
    "power_on_us",  # host's monotonic clock when power came
    "chip_boot_us",  # ... when the chip last left reset (a soft reset is none)
    "rtc_offset_us",  # what setting the clock added to the time since power came
    "watchdog_us",  # monotonic time at which the watchdog bites; 0 is off
    "reset_cause",  # machine.reset_cause()
    "conversions",  # conversions that the sensor has made
    "rtc_length",  # valid bytes of RTC memory
)
RTC_MEMORY = 1024
RTC_MEMORY_BYTES = 2048
PINS = 3072  # one byte per GPIO: its level
ANALOG = 3200  # one 16-bit word per GPIO: what an ADC on it reads
GPIOS = 64
BLANK = 4096  # one erased sector, to copy from
WEAR = 8192  # one 32-bit erase count per sector of flash, then one byte per sector: how it is worn
SECTOR = 4096

CUT_PROGRAM = 1
CUT_ERASE = 2


#: Bits of a worn sector: its erases, or programs in it, do nothing, or report an error and do nothing.
ERASE_NOOP = 1
ERASE_ERROR = 2
PROGRAM_NOOP = 4
PROGRAM_ERROR = 8


def worn_at(flash_bytes: int) -> int:
    """Where the bytes begin that say how sectors are worn."""
    return WEAR + flash_bytes // SECTOR * 4


def control_bytes(flash_bytes: int) -> int:
    """Size of the mapping for a flash of that many bytes."""
    return worn_at(flash_bytes) + flash_bytes // SECTOR
