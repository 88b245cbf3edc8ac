"""An Apache Kafka of our own, for tests and benchmarks: a KRaft node on loopback, its data in a folder."""

import base64
import shutil
import subprocess
import time
import uuid
from pathlib import Path

from bench.postgres_server import free_port

#: Where `tests/services/install` puts Kafka's jars.
JARS = Path(__file__).parents[1] / ".venv" / "kafka"
_START_SECONDS = 60.0
#: One client and few records need neither the large heap nor the compiler that a server has by default.
_JAVA = ("-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
_SETTINGS = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
log.dirs={data}
num.partitions=4
offsets.topic.num.partitions=1
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
"""


class KafkaServer:
    """A broker that is its own controller."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.port = free_port()
        self._settings = folder / "server.properties"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def servers(self) -> str:
        """Return what clients are given as `bootstrap.servers`."""
        return f"127.0.0.1:{self.port}"

    def make(self) -> None:
        """Make its storage."""
        settings = _SETTINGS.format(port=self.port, controller=free_port(), data=self._folder / "data")
        self._settings.write_text(settings)
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        done = subprocess.run(
            # Bound to its option: one in 64 begins with a dash.
            [*_command(), "kafka.tools.StorageTool", "format", f"-t={cluster}", "-c", str(self._settings)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def start(self) -> None:
        """Start, and wait until it answers."""
        from confluent_kafka import KafkaException
        from confluent_kafka.admin import AdminClient

        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*_command(), "kafka.Kafka", str(self._settings)],
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        client = AdminClient({"bootstrap.servers": self.servers, "log_level": 0})
        deadline = time.monotonic() + _START_SECONDS
        while True:
            text = (self._folder / "log").read_text(errors="replace")[-2000:]
            assert self._process.poll() is None, f"Kafka ended: {text}"
            assert time.monotonic() < deadline, f"Kafka does not answer: {text}"
            try:
                client.list_topics(timeout=1)
                return
            except KafkaException:
                continue

    def stop(self, *, crash: bool = False) -> None:
        """Stop; a crash is at once."""
        if self._process is None:
            return
        if crash:
            self._process.kill()
        else:
            self._process.terminate()
        try:
            self._process.wait(_START_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None


def kafka_is_here() -> bool:
    """Say whether Kafka can be started."""
    return JARS.is_dir() and any(JARS.glob("kafka_*.jar")) and shutil.which("java") is not None


def _command() -> list[str]:
    return [shutil.which("java") or "java", *_JAVA, "-cp", f"{JARS}/*"]
