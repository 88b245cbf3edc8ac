"""A PostgreSQL and its standby, which takes over; whoever was the primary then follows as the new standby."""

import shutil

from bench.postgres_server import PostgresServer


class Pair:
    """A primary that runs, and a standby for which every commit waits."""

    def __init__(self, primary: PostgresServer) -> None:
        folder = primary.data.parent / "standby"
        folder.mkdir()
        self.primary = primary
        self.standby = self._made = PostgresServer(folder, primary.programs)
        self.follow()

    @property
    def url(self) -> str:
        """Where the one of them is that writes."""
        hosts = ",".join(f"127.0.0.1:{server.port}" for server in (self.primary, self.standby))
        return f"postgresql://hedgerow@{hosts}/postgres?target_session_attrs=read-write"

    def follow(self) -> None:
        """Make the standby anew from the primary, and let commits wait for it from here on."""
        data = self.standby.data
        shutil.rmtree(data, ignore_errors=True)
        source = self.primary.url()
        self.standby.run("pg_basebackup", "-D", str(data), "-R", "-c", "fast", "-d", source)
        self.standby.start()
        self.primary.set(synchronous_standby_names="*")

    def promote(self) -> None:
        """Let the standby take over. The primary must be down; commits wait for nobody until follow()."""
        self.standby.run("pg_ctl", "-D", str(self.standby.data), "-w", "promote")
        self.standby.set(synchronous_standby_names="")
        self.primary, self.standby = self.standby, self.primary

    def stop(self) -> None:
        """Stop the server that was made for this, and leave nothing of it."""
        self._made.stop("immediate")
        shutil.rmtree(self._made.data.parent, ignore_errors=True)
