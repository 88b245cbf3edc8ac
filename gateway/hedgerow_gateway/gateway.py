"""The gateway: its parts put together, run, stopped, and reported on."""

import asyncio
import logging
import random
import signal
from contextlib import AsyncExitStack

from hedgerow.codec.schema import STREAM
from hedgerow.crypto.handshake import Gate
from hedgerow.errors import HedgerowError
from hedgerow.mesh.group import Group
from hedgerow.mesh.mesh import Mesh
from hedgerow.mesh.schedule import plan
from hedgerow.mesh.tag import mesh_key, mesh_tag
from hedgerow.operation import SOURCE_GATEWAY
from hedgerow.peer import Peer
from hedgerow.sync.hello import GATEWAY

from . import limits, status
from .bounded import wait_event
from .central import Central
from .clock import Clock, rfc3339
from .confidences import Confidences
from .config import OFF, GatewayConfig, name_of_mesh
from .delegate import Delegate, know_boards
from .enrolment import Enrolment
from .forks import Forks
from .health import tell_health
from .link_ble import BleLink
from .membership import GroupFile, members_of
from .mesher import Mesher
from .notify import Notifier
from .radios import Radios
from .reclaim import Reclaimer
from .report import AuthorReport, Report, UplinkReport
from .roster import Roster
from .sqlite_log import SqliteLog
from .suspects import Suspects, Watcher
from .uplink import Uplink

logger = logging.getLogger(__name__)

DATABASE = "gateway.db"
GROUP = "group.key"
READINGS = "readings"


def tell_time(peer: Peer, clock: Clock) -> None:
    """Tell a peer the time that `clock` vouches for, and take back what nobody vouches for any longer.

    Between two looks the time runs on by uptime, which no step of the host's clock moves. A reading that
    contradicts it corrects it.
    """
    reading = clock.read()
    if reading is None:
        peer.withdraw_time(SOURCE_GATEWAY)
        return
    known = peer.utc(reading.now)
    if known is not None and abs(known[0] - reading.utc_ms) > known[1] + reading.error_ms:
        peer.withdraw_time(SOURCE_GATEWAY)
    peer.set_time(reading.utc_ms, reading.error_ms, SOURCE_GATEWAY, reading.now, True)


class Gateway:
    """One gateway on one event loop: `run` until `stop` is called or the log fails.

    Everything that it knows lies in the log; it may be killed at any instant.
    """

    def __init__(self, config: GatewayConfig) -> None:
        """Open the log in `config.data`, which is made if need be. Raises HedgerowError."""
        self.config = config
        self.clock = Clock(config.time)
        self.url: str | None = None
        self._stopping = asyncio.Event()
        self._failure: HedgerowError | None = None
        self._rng = random.Random()
        config.data.mkdir(parents=True, exist_ok=True)
        path = config.identity_path()
        self.enrolment = None if path is None else Enrolment(path)
        self.log = SqliteLog(
            config.data / DATABASE,
            max_bytes=config.log_bytes,
            on_failure=self._fail,
            enrolment=self.enrolment,
        )
        try:
            self._compose()
        except BaseException:
            self.log.close()
            raise

    def _compose(self) -> None:
        config, now = self.config, self.clock.now
        base = mesh_key(config.mesh)
        group = Group(base, GroupFile(config.data / GROUP)) if config.board_keys else None
        self.peer = Peer(
            self.log, now(), name=config.name, role=GATEWAY, mesh=mesh_tag(config.mesh),
            kinds={READINGS: STREAM}, credit=limits.CREDIT_BYTES, keeper=config.keeper,
            members=members_of(self.log, self.enrolment, group),
        )  # fmt: skip
        self.delegate = None if self.enrolment is None else Delegate(self.enrolment)
        members = self.peer.members
        self.forks: Forks | None = None
        if members is not None and self.enrolment is not None:
            self.forks = Forks(members)
            Confidences(self.peer, members, self.enrolment, boards=True)
        self.reclaimer = Reclaimer(self.log, self.peer, config.log_bytes)
        self.roster = Roster()
        self.mesh = Mesh(
            self.peer, now(), random=self._rng.randrange, role=GATEWAY, key=base, table=limits.DEVICES,
            hold_off_ms=config.hold_off_ms, group=group,
        )  # fmt: skip
        self.radios = Radios(config, self._heard, self._rng)
        self.link = BleLink(
            self.peer,
            self.radios.adapter,
            now,
            linger_ms=config.linger_ms,
            session_s=config.session_s,
            stall_s=config.stall_s,
            enrolment=self.enrolment if config.board_keys else None,
            gate=Gate([base]),
            forks=self.forks,
        )
        self.suspects = Suspects()
        self.central = Central(
            self.mesh,
            self.link,
            self.roster,
            now,
            max_connections=config.max_connections,
            mute=lambda: not self.radios.voice.speaks,
            suspects=self.suspects,
        )
        self.mesher = Mesher(
            self.log, self.peer, self.mesh, self.radios.voice, now, on_ours=self.central.heard,
            watcher=Watcher(self.peer, self.mesh, self.suspects),
        )  # fmt: skip
        self.uplink: Uplink | None = None
        if config.uplink is not None:
            self.uplink = Uplink(
                self.peer,
                config.uplink,
                now,
                self._rng,
                first_pause_s=config.uplink_first_pause_s,
                max_pause_s=config.uplink_max_pause_s,
                on_outgrown=self._outgrown,
                enrolment=self.enrolment,
                delegate=self.delegate,
                forks=self.forks,
            )

    def _heard(self, address: str, rssi: int, payload: bytes, connectable: bool) -> None:
        self.mesher.heard(address, rssi, payload, connectable)

    def _fail(self, error: HedgerowError) -> None:
        self._failure = self._failure or error
        self._stopping.set()

    def _outgrown(self, error: HedgerowError) -> None:
        """The Big Peer holds more of us than we do: this store was put back from a backup."""
        self.log.disown()
        self._fail(error)

    def stop(self) -> None:
        """Make `run` return; call it from the event loop."""
        self._stopping.set()

    async def run(self) -> None:
        """Run until stopped; raises HedgerowError if the log failed, HTTP_BIND if no page can be served."""
        notifier = Notifier()
        try:
            async with AsyncExitStack() as stack:
                if self.config.http is not None:
                    host, port = self.config.http_address()
                    self.url = await stack.enter_async_context(
                        status.serving(status.make_app(self.report), host, port)
                    )
                tasks = self._start()
                stack.push_async_callback(_cancel, tasks)
                logger.info(
                    "gateway %s, mesh %s, pages %s",
                    self.peer.author.hex(),
                    name_of_mesh(self.config.mesh),
                    self.url,
                )
                notifier.send("READY=1")
                await self._attend(tasks, notifier)
                notifier.send("STOPPING=1")
        finally:
            self.log.close()
        if self._failure is not None:
            raise self._failure

    def _start(self) -> "list[asyncio.Task[None]]":
        parts = [
            self._keep_time(),
            tell_health(self.config, self.peer, self.log.path, lambda: self.clock.now(), self.suspects),
        ]
        if self.peer.members is not None and self.enrolment is not None and self.delegate is not None:
            self.enrolment.on_met = self.peer.members.meet
            parts.append(know_boards(self.delegate, self.peer.members))
        if not self.config.keeper:
            # A keeper's own receipts say that it holds the only copy that counts.
            parts.append(self.reclaimer.run())
        if self.config.radio != OFF:
            parts += [self.radios.run(), self.mesher.run(), self.central.run()]
        if self.uplink is not None:
            parts.append(self.uplink.run())
        return [asyncio.create_task(part) for part in parts]

    async def _attend(self, tasks: "list[asyncio.Task[None]]", notifier: Notifier) -> None:
        """Wait for the end, patting systemd's watchdog; the death of a part is the death of all."""

        def ended(task: "asyncio.Task[None]") -> None:
            self._stopping.set()

        for task in tasks:
            task.add_done_callback(ended)
        pat_s = notifier.watchdog_s / 2 or None
        while not await wait_event(self._stopping, pat_s):
            notifier.send("WATCHDOG=1")
        for task in tasks:
            if task.done() and not task.cancelled():
                task.result()

    async def _keep_time(self) -> None:
        while True:
            tell_time(self.peer, self.clock)
            await asyncio.sleep(limits.TIME_EVERY_S)

    def report(self) -> Report:
        """Return everything that /status and /metrics show."""
        reading = self.clock.read()
        visits = self.central.counters
        return {
            "author": self.peer.author.hex(),
            "name": self.config.name,
            "mesh": name_of_mesh(self.config.mesh),
            "security": self._security(),
            "uptime_ms": self.clock.now(),
            "time": {
                "mode": self.clock.mode,
                "trusted": reading is not None,
                "error_ms": reading.error_ms if reading else None,
            },
            "log": {
                "commits": self.log.commits,
                "bytes": self.log.path.stat().st_size,
                "reclaimed": self.reclaimer.removed,
                "incarnation": self.log.incarnation,
            },
            "radio": self.radios.report(),
            "beacons": self.mesher.counters.beacons,
            "connections": visits.connections,
            "connections_failed": visits.failed,
            "connected": self.central.visiting,
            "hourly": visits.hourly,
            "errors": dict(visits.errors + self.mesher.counters.errors),
            "suspects": [[*key, count] for key, count in sorted(self.suspects.counts.items())],
            "link_bytes": {"in": self.link.bytes_in, "out": self.link.bytes_out},
            "uplink": self._uplink_report(),
            "boards": self.delegate.counts() if self.delegate is not None else None,
            "authors": self._authors(),
        }

    def _security(self) -> str:
        """Return who this gateway is towards the Big Peer; boards have no sessions with keys yet."""
        enrolment = self.enrolment
        if enrolment is None:
            return "no security yet"
        if enrolment.credential is None:
            return "not enrolled"
        return f"{enrolment.claims.subject}, credential {enrolment.claims.cti.hex()}"

    def _uplink_report(self) -> UplinkReport | None:
        if self.uplink is None:
            return None
        counters = self.uplink.counters
        return {
            "url": self.uplink.url,
            "connected": self.uplink.connected,
            "attempts": counters.attempts,
            "sessions": counters.sessions,
            "outages": counters.outages,
            "failures": counters.failures,
            "bytes": {"in": counters.bytes_in, "out": counters.bytes_out},
            "last_error": counters.last_error,
        }

    def _authors(self) -> list[AuthorReport]:
        now = self.clock.now()
        for neighbour in self.mesh.neighbours(now):
            self.roster.heard(neighbour[0][:3], now - neighbour[2])
        utc = self.peer.utc(now)
        authors: list[AuthorReport] = []
        names = self.mesh.names
        for author, state in self.peer.status(now).items():
            known = self.roster.of(author)
            seen = None if utc is None or known.seen is None else rfc3339(utc[0] - now + known.seen)
            # Who is out of reach is not expected here.
            due, overdue = (None, False) if known.seen is None else plan(names.get(author), known.seen, now)
            own = author == self.peer.author
            authors.append(
                {
                    "author": author.hex(),
                    "name": self.config.name if own else known.name,
                    "held": state["held"],
                    "sealed": state["sealed"],
                    "receipted": state["receipted"],
                    "last_seen": seen,
                    "due_s": None if due is None else (due - now) // 1000,
                    "overdue": overdue,
                }
            )
        return authors


async def _cancel(tasks: "list[asyncio.Task[None]]") -> None:
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks, timeout=limits.STOP_S)


async def run_gateway(config: GatewayConfig) -> None:
    """Run a gateway until SIGINT or SIGTERM; raises HedgerowError for what stops it otherwise."""
    gateway = Gateway(config)
    loop = asyncio.get_running_loop()
    signals = (signal.SIGINT, signal.SIGTERM)
    for number in signals:
        loop.add_signal_handler(number, gateway.stop)
    try:
        await gateway.run()
    finally:
        for number in signals:
            loop.remove_signal_handler(number)
