DAY_MS: int

class Profile:
    base_ua: int
    scan_ua: int
    sleep_ua: int
    event_uc: int
    connection_ua: int
    wake_uc: int
    def __init__(
        self,
        base_ua: int = 25000,
        scan_ua: int = 80000,
        sleep_ua: int = 10,
        event_uc: int = 350,
        connection_ua: int = 7000,
        wake_uc: int = 50000,
    ) -> None: ...
    def charge(
        self,
        awake_ms: int,
        scan_ms: int = 0,
        sleep_ms: int = 0,
        events: int = 0,
        connection_ms: int = 0,
        wakes: int = 0,
    ) -> int: ...

class Budget:
    possible: bool
    def __init__(
        self, profile: Profile, budget_mah: int, now: int, awake: int = 1000, wakes: int = 0
    ) -> None: ...
    def duty(self, now: int, wanted: int) -> int: ...
    def may_say(self, now: int, events: int) -> bool: ...
    def may_connect(self, now: int, ms: int) -> bool: ...
    def said(self, events: int) -> None: ...
    def connected(self, ms: int) -> None: ...
    def slept(self, ms: int, now: int) -> None: ...
    def spent(self, now: int) -> int: ...
    def save(self, now: int) -> bytes: ...
    def restore(self, data: bytes, now: int) -> None: ...
