"""What a process has open towards others, as Linux tells it: descriptors, and files mapped for writing."""

from pathlib import Path


def channels(pid: int) -> dict[str, set[str]]:
    """Return {kind: names}: `socket`, `pipe` (with inodes), `file` (open), `mapped` (shared, writable)."""
    found: dict[str, set[str]] = {"socket": set(), "pipe": set(), "file": set(), "mapped": set()}
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        name = str(descriptor.readlink())
        kind = name.partition(":")[0]
        found[kind if kind in found else "file"].add(name)
    for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
        fields = line.split(maxsplit=5)
        if fields[1].startswith("rw") and fields[1].endswith("s"):
            found["mapped"].add(fields[5])
    return found


def accepted(path: str) -> int:
    """Return how many connections a listening socket of the file system has accepted."""
    rows = [line.split() for line in Path("/proc/net/unix").read_text().splitlines()[1:]]
    # Fields: Num, RefCount, Protocol, Flags (10000: it listens), Type, St, Inode, Path.
    return sum(row[7:] == [path] and row[3] != "00010000" for row in rows)


def networked() -> set[str]:
    """Return the sockets of this machine that are none of its file system's."""
    found = set()
    for table in ("tcp", "tcp6", "udp", "udp6", "raw", "raw6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            found.add(f"socket:[{line.split()[9]}]")
    return found
