"""`make image`: build deploy/Dockerfile and run it, with SQLite and as two nodes on a PostgreSQL.

Needs root on Debian, and no registry of images: the base is made of Debian's packages by debootstrap, unless
BASE names another. Everything runs in a network of its own, on loopback. It takes one to three minutes and
downloads a system, so it is no part of `make test-services`.
"""

import argparse
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "bigpeer"))
sys.path.insert(0, str(Path(__file__).parents[2]))

import httpx
from bigpeer_harness import EXECUTE, eventually
from log_writer import Writer
from sync_link import Link

from bench.postgres_server import postgres_programs, running

ROOT = Path(__file__).parents[2]
PACKAGES = ("buildah", "podman", "crun", "debootstrap")
DEBIAN, MIRROR = "bookworm", "http://deb.debian.org/debian"
IMAGE, BASE = "localhost/hedgerow-trial", "localhost/hedgerow-base"
SEARCHED = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#: As in compose.yaml.
CONFINED = ("--read-only", "--tmpfs=/tmp", "--cap-drop=all", "--security-opt=no-new-privileges")
#: No more than there may be where limits cannot be raised.
LIMITS = ("--ulimit=nofile=1024:1024", "--ulimit=nproc=4096:4096")
NODE = ("--data", "/data", "--host", "0.0.0.0", "--plain", "--allow-playground", "--json", "--port")
PORTS = (8080, 8081)
HELD = 12
_INSIDE = "HEDGEROW_IMAGE_INSIDE"


def call(*command: object, **options: Any) -> str:
    """Run a program; return what it prints."""
    done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, check=False, **options)
    assert done.returncode == 0, f"{command}: {done.stdout.decode()}"
    return done.stdout.decode().strip()


def make_base(folder: Path) -> str:
    """Make an image with a Python of Debian's packages; return its name."""
    root = folder / "root"
    wanted = "--include=python3-venv,python-is-python3,ca-certificates"
    call("debootstrap", "--variant=minbase", wanted, DEBIAN, root, MIRROR)
    for dropped in ("var/cache/apt/archives", "var/lib/apt/lists"):
        shutil.rmtree(root / dropped)
    container = call("buildah", "from", "scratch")
    call("buildah", "add", "--quiet", container, root, "/")
    call("buildah", "config", "--env", f"PATH={SEARCHED}", container)
    call("buildah", "commit", "--quiet", container, BASE)
    call("buildah", "rm", container)
    shutil.rmtree(root)
    return BASE


def build(base: str) -> None:
    """Build the image; certificates are this machine's, whose way to the package index may need them."""
    trusted = "--volume=/etc/ssl/certs:/etc/ssl/certs:ro"
    how = ("--isolation=chroot", "--format=docker", trusted, f"--build-arg=BASE={base}")
    call("buildah", "build", *how, f"--file={ROOT / 'deploy' / 'Dockerfile'}", f"--tag={IMAGE}", ROOT)


def podman(*words: object) -> str:
    """Run podman."""
    return call("podman", *words)


@contextlib.contextmanager
def container(name: str, port: int, *options: str) -> Iterator[str]:
    """Run a node within the block; its URL. It ends by SIGTERM, in order."""
    how = ("--network=host", "--cgroups=disabled", "--runtime=crun", "--no-healthcheck")
    podman("run", "--detach", f"--name={name}", *how, *LIMITS, *CONFINED, *options, IMAGE, *NODE, port)
    url = f"http://127.0.0.1:{port}"
    try:
        eventually(lambda: _answers(f"{url}/readyz"), 30)
        yield url
        podman("stop", "--time=30", name)
        ended = podman("inspect", "--format={{.State.ExitCode}}", name)
        assert ended == "0", podman("logs", name)
    except BaseException:
        subprocess.run(["podman", "logs", name], check=False)
        raise
    finally:
        podman("rm", "--force", name)


def _answers(url: str) -> bool:
    with contextlib.suppress(httpx.HTTPError):
        return httpx.get(url, timeout=5).status_code == 200
    return False


def command(name: str, *words: object) -> Any:
    """Run `hedgerow` in a node; return its JSON."""
    return json.loads(podman("exec", name, "hedgerow", *words, "--json"))


def execute(url: str, key: str, statement: str) -> Any:
    """Run a statement; return its items."""
    headers = {"authorization": f"Bearer {key}"}
    answer = httpx.post(url + EXECUTE, json={"statement": statement}, headers=headers, timeout=20)
    assert answer.status_code == 200, answer.text
    return answer.json()["items"]


def health(name: str) -> None:
    """Run the image's own health check, which asks port 8080."""
    check = json.loads(podman("inspect", IMAGE))[0]["Healthcheck"]["Test"]
    assert check[0] == "CMD"
    podman("exec", name, *check[1:])


def sync(url: str, key: str) -> None:
    """Let a peer record and sync until all of it is receipted."""
    writer = Writer("board")
    writer.insert_many(HELD)
    link = Link(writer.peer, url.replace("http", "ws") + "/api/hedgerow/v1/sync", writer.now, key)
    link.until(HELD)
    link.close()


def try_sqlite() -> None:
    """One process: what it has taken is there after a new start, and belongs to its own user."""
    with container("sqlite", PORTS[0], "--volume=trial:/data") as url:
        health("sqlite")
        assert podman("exec", "sqlite", "id", "-u") == "10001"
        verbs = [word for verb in ("read", "write", "sync", "status") for word in ("--verb", verb)]
        key = command("sqlite", "bigpeer", "keys", "add", "trial", *verbs, "--data", "/data")["key"]
        assert httpx.post(url + EXECUTE, json={"statement": "SELECT 1 AS x FROM c"}).status_code == 401
        sync(url, key)
    with container("sqlite", PORTS[0], "--volume=trial:/data") as url:
        assert execute(url, key, "SELECT count(*) AS n FROM readings") == [{"n": HELD}]
    podman("volume", "rm", "trial")


def try_postgresql(store: str) -> None:
    """Two nodes with one key: what a peer brings to one is read at the other."""
    shared = (
        f"--env=HEDGEROW_STORE={store}",
        "--env=HEDGEROW_RIGHTS_KEY=/keys/rights.key",
        "--volume=keys:/keys",
    )
    make = "import secrets; print(secrets.token_hex(32), file=open('/keys/rights.key', 'x'))"
    how = ("--rm", "--no-healthcheck", "--network=host", "--cgroups=disabled", "--runtime=crun")
    podman("run", *how, *LIMITS, "--volume=keys:/keys", "--entrypoint=python", IMAGE, "-c", make)
    with (
        container("one", PORTS[0], *shared, "--tmpfs=/data:mode=0700,U") as one,
        container("two", PORTS[1], *shared, "--tmpfs=/data:mode=0700,U") as two,
    ):
        verbs = [word for verb in ("read", "write", "sync") for word in ("--verb", verb)]
        key = command("one", "bigpeer", "keys", "add", "trial", *verbs)["key"]
        sync(one, key)
        count = [{"n": HELD}]
        eventually(lambda: execute(two, key, "SELECT count(*) AS n FROM readings") == count, 20)
    podman("volume", "rm", "keys")


def inside() -> None:
    """Where there is only loopback, and a file system of our own."""
    call("ip", "link", "set", "lo", "up")
    # crun takes no mixture of both versions of control groups.
    if Path("/sys/fs/cgroup/unified").exists():
        call("umount", "/sys/fs/cgroup/unified")
    programs = postgres_programs()
    assert programs is not None, "no PostgreSQL here: tests/services/install installs it"
    begun = time.monotonic()
    try_sqlite()
    print(
        "with SQLite: healthy, synced, ended in order, and everything is there after a new start", flush=True
    )
    with running(programs) as server:
        try_postgresql(server.url())
    print("with PostgreSQL: two nodes, synced at one and read at the other", flush=True)
    print(json.dumps({"seconds": round(time.monotonic() - begun, 1)}), flush=True)


def main() -> int:
    """Build in this network, and try in one of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", default="", help="an image with Python 3.11 or newer, instead of Debian's")
    wanted = parser.parse_args()
    if os.environ.get(_INSIDE):
        inside()
        return 0
    if os.getuid() != 0:
        print("containers are built and run as root here", file=sys.stderr)
        return 1
    missing = [name for name in PACKAGES if shutil.which(name) is None]
    if missing:
        print(f"install {' '.join(missing)} first (apt-get install)", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory(prefix="hedgerow-image-") as folder:
        # Images of ours only, and on whatever file system this is.
        own = {"STORAGE_DRIVER": "vfs", "CONTAINERS_STORAGE_CONF": f"{folder}/storage.conf"}
        place = f'[storage]\ndriver = "vfs"\nrunroot = "{folder}/run"\ngraphroot = "{folder}/images"\n'
        Path(folder, "storage.conf").write_text(place)
        os.environ.update(own)
        print(
            "making the base of Debian's packages" if not wanted.base else f"base {wanted.base}", flush=True
        )
        base = wanted.base or make_base(Path(folder))
        print("building the image", flush=True)
        build(base)
        print("running it", flush=True)
        again = ["unshare", "--net", "--mount", sys.executable, __file__]
        return subprocess.call(again, env={**os.environ, _INSIDE: "1"})


if __name__ == "__main__":
    sys.exit(main())
