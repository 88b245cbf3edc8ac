"""The .pyi files beside the core say what the code does."""

import subprocess
import sys
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "shared" / "hedgerow"


def test_stubs_agree_with_the_code() -> None:
    modules = [
        ".".join(("hedgerow", *path.relative_to(PACKAGE).with_suffix("").parts))
        for path in PACKAGE.rglob("*.pyi")
    ]
    assert "hedgerow.codec.cbor" in modules
    done = subprocess.run(
        [sys.executable, "-m", "mypy.stubtest", "--concise", *sorted(modules)],
        cwd=PACKAGE.parent,
        capture_output=True,
        text=True,
        timeout=380,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
