"""Settings that make no sense are refused by name; metrics are all described and all shown."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from gateway_kit import config, run

import hedgerow_gateway
from hedgerow.errors import CODES, HedgerowError
from hedgerow.mesh.tag import mesh_key, mesh_tag
from hedgerow_gateway import Gateway, metrics
from hedgerow_gateway.config import IDENTITY


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("uplink", "http://example.org"),
        ("time", "maybe"),
        ("mesh", ""),
        ("name", "n" * 33),
        ("max_connections", 0),
        ("silence_s", 1e9),
        ("log_bytes", 5),
        ("linger_ms", -1),
        ("health_s", -1),
        ("place", "x" * 65),
        ("http", "8080"),
        ("http", "127.0.0.1:99999"),
        ("http", "0.0.0.0:8090"),
    ],
)
def test_nonsense_is_refused_by_name(tmp_path: Path, setting: str, value: Any) -> None:
    with pytest.raises(HedgerowError, match=f"SETTING_INVALID: .*{setting}"):
        config(tmp_path, **{setting: value})


@pytest.mark.parametrize("beside", [True, False])
def test_a_keeper_has_no_identity(tmp_path: Path, beside: bool) -> None:
    """No board would believe its receipts."""
    made = config(tmp_path, keeper=True)
    assert made.identity_path() is None
    identity = made.data / IDENTITY if beside else tmp_path / "elsewhere"
    identity.parent.mkdir(parents=True, exist_ok=True)
    identity.write_bytes(b"")
    with pytest.raises(HedgerowError, match="SETTING_INVALID: .*keeper"):
        config(tmp_path, keeper=True, identity=None if beside else identity)
    config(tmp_path, identity=identity)


def test_a_secret_of_a_mesh_is_long_and_never_shown(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for wrong in ("farm:", "farm:too short", f":{'x' * 20}", ""):
        with pytest.raises(HedgerowError, match="SETTING_INVALID: mesh"):
            config(tmp_path, mesh=wrong)
    secret = "Vq3:l9ZtB4xW7nYc2Ke8"

    async def main() -> str:
        gateway = Gateway(config(tmp_path, mesh=f"farm:{secret}"))
        gateway.stop()
        with caplog.at_level("DEBUG"):
            await asyncio.create_task(gateway.run())
        report = gateway.report()
        assert report["mesh"] == "farm" and gateway.peer.mesh == mesh_tag("farm")
        assert gateway.mesh.key == mesh_key(f"farm:{secret}") != mesh_key("farm")
        return str(report) + metrics.render(report)

    assert secret not in run(main()) and secret not in caplog.text and "mesh farm" in caplog.text


def test_every_metric_is_described_and_shown(tmp_path: Path) -> None:
    async def main() -> str:
        gateway = Gateway(config(tmp_path, uplink="ws://127.0.0.1:1/"))
        gateway.central.counters.errors["LINK_LOST"] += 1
        gateway.radios.voice.health.heard_at = 0.0
        gateway.stop()
        await asyncio.create_task(gateway.run())
        return metrics.render(gateway.report())

    text = run(main())
    shown = {line.split("{")[0].split(" ")[0] for line in text.splitlines() if not line.startswith("#")}
    assert shown == set(metrics.METRICS)
    assert 'errors_total{code="LINK_LOST"} 1\n' in text


def test_exported_names_are_sorted_and_there() -> None:
    assert hedgerow_gateway.__all__ == sorted(hedgerow_gateway.__all__)
    for name in hedgerow_gateway.__all__:
        assert getattr(hedgerow_gateway, name)


def test_every_code_raised_is_explained() -> None:
    package = Path(hedgerow_gateway.__file__).parent
    source = "\n".join(path.read_text() for path in package.glob("*.py"))
    own = [code for code, (number, _) in CODES.items() if 500 <= number < 600]
    assert own
    for code in own:
        assert f'"{code}"' in source, f"{code} is never used"
