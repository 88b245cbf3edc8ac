"""A PostgreSQL of our own, for tests and benchmarks: on loopback, with its data in a folder that is given."""

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "fsync": "off",
    # In its folder: a crash leaves nothing behind elsewhere.
    "dynamic_shared_memory_type": "mmap",
    "max_connections": "200",
    # Its transactions hold back the stable watermark for a moment; the contract compares exact numbers.
    "autovacuum": "off",
}


def free_port() -> int:
    """Return a port of loopback on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


class PostgresServer:
    """A PostgreSQL cluster of our own; as root it runs as `nobody`, because it refuses root."""

    def __init__(self, folder: Path, programs: Path, settings: dict[str, str] | None = None) -> None:
        self._settings = {**_SETTINGS, **(settings or {})}
        self._folder = folder
        self.programs = programs
        self.port = free_port()
        self._user = "nobody" if os.getuid() == 0 else None
        if self._user:
            os.chown(folder, pwd.getpwnam(self._user).pw_uid, -1)

    @property
    def data(self) -> Path:
        """Where its files are."""
        return self._folder / "data"

    def url(self, database: str = "postgres") -> str:
        """Return where a database is."""
        return f"postgresql://hedgerow@127.0.0.1:{self.port}/{database}"

    def make(self) -> None:
        """Make the cluster."""
        self.run("initdb", "-D", str(self.data), "-U", "hedgerow", "-A", "trust", "-E", "UTF8", "--no-sync")

    def start(self) -> None:
        """Start, and wait until it answers."""
        options = " ".join(
            f"-c {name}='{value}'" for name, value in {**self._settings, "port": self.port}.items()
        )
        log = str(self._folder / "log")
        self.run("pg_ctl", "-D", str(self.data), "-w", "-l", log, "-o", options, "start")

    def stop(self, mode: str = "fast") -> None:
        """Stop; `immediate` is as a crash."""
        self.run("pg_ctl", "-D", str(self.data), "-w", "-m", mode, "stop")

    def set(self, **settings: str) -> None:
        """Change settings of the running server."""
        lines = "".join(f"{name} = '{value}'\n" for name, value in settings.items())
        with (self.data / "postgresql.auto.conf").open("a") as file:
            file.write(lines)
        self.run("pg_ctl", "-D", str(self.data), "reload")

    def run(self, program: str, *arguments: str) -> str:
        """Run one of PostgreSQL's programs."""
        # What pg_ctl starts would keep a pipe open.
        with (self._folder / "out").open("wb") as out:
            done = subprocess.run(
                [str(self.programs / program), *arguments],
                user=self._user,
                cwd=self._folder,
                env={"PATH": os.environ["PATH"], "LANG": "C.UTF-8"},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                check=False,
            )
        output = (self._folder / "out").read_text(errors="replace")
        assert done.returncode == 0, f"{program}: {output}"
        return output


@contextlib.contextmanager
def running(
    programs: Path,
    settings: dict[str, str] | None = None,
    prefix: str = "hedgerow-pg-",
    inside: str | None = None,
) -> Iterator[PostgresServer]:
    """Run one in a temporary folder below `inside`; it is gone at the end."""
    with tempfile.TemporaryDirectory(prefix=prefix, dir=inside) as folder:
        # Its user is another one where we are root.
        Path(folder).chmod(0o755)
        server = PostgresServer(Path(folder), programs, settings)
        server.make()
        server.start()
        try:
            yield server
        finally:
            server.stop("immediate")


def postgres_programs() -> Path | None:
    """Return where PostgreSQL's server programs are, the newest; None where there are none."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if found:
        return found[-1].parent
    known = shutil.which("initdb")
    return Path(known).resolve().parent if known else None
