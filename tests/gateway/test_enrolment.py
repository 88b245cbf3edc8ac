"""A gateway's identity: broken answers when the credential is renewed, broken files."""

import asyncio
import contextlib
import json
import random
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from gateway_kit import config, run, until
from test_board_keys import MODE, ROOT, Issuer, enrol, text

from hedgerow.codec import cbor
from hedgerow.crypto import claims, signer
from hedgerow.crypto.channel import Answering, Member
from hedgerow.crypto.credentials import Credential, Trust
from hedgerow.crypto.ephemeral import Ephemerals
from hedgerow.crypto.greeting import Greeting
from hedgerow.crypto.handshake import Own
from hedgerow.crypto.members import ISSUER
from hedgerow.crypto.port import finish
from hedgerow.errors import HedgerowError
from hedgerow_gateway import Gateway, limits
from hedgerow_gateway.enrolment import Enrolment, Post, poster
from hedgerow_gateway.uplink import Uplink

BROKEN = (
    b"GARBAGE\r\n\r\n",
    b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n20\r\n{"a":',
    b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n",
    b"HTTP/1.1 200 OK\r\n\r\n" + b"[" * 60_000,
    b"HTTP/1.1 200 OK\r\n\r\n\xff\xfe",
    b"HTTP/1.1 200 OK\r\n\r\n[]",
    b'HTTP/1.1 401 X\r\n\r\n{"error":[1]}',
    b"HTTP/1.1 401 X\r\n\r\n" + b"[" * 60_000,
    b'HTTP/1.1 401 X\r\nTransfer-Encoding: chunked\r\n\r\n20\r\n{"a":',
)


@contextlib.contextmanager
def answering(data: bytes) -> Iterator[str]:
    """Answer one request after another with these bytes; yields the sync address."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = server.accept()
                with client:
                    client.recv(65_536)
                    client.sendall(data)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"ws://127.0.0.1:{server.getsockname()[1]}/api/hedgerow/v1/sync"
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join()


@pytest.mark.parametrize("data", BROKEN, ids=range(len(BROKEN)))
def test_an_answer_that_is_broken_is_a_coded_error(data: bytes) -> None:
    with answering(data) as url, pytest.raises(HedgerowError, match="UPLINK_LOST|ENROLMENT_ANSWER"):
        poster(url)("challenge", {})


def test_a_gateway_outlives_who_answers_it_with_rubbish(tmp_path: Path) -> None:
    enrol(tmp_path / "identity.json")

    async def main(url: str) -> None:
        # The credential is over half of its time: each attempt asks for another one first.
        gateway = Gateway(config(tmp_path, uplink=url, radio="off"))
        task = asyncio.create_task(gateway.run())
        assert gateway.uplink is not None
        counters = gateway.uplink.counters
        await until(lambda: counters.failures > 2 or task.done(), "it goes on")
        assert not task.done() and counters.renewals == 0
        gateway.peer.insert("readings", {"n": 1}, gateway.clock.now())
        gateway.stop()
        await task

    with answering(BROKEN[0]) as url:
        run(main(url))


def test_looking_after_the_credential_goes_on_after_any_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "identity.json"
    enrol(path)
    enrolment = Enrolment(path)
    monkeypatch.setattr(limits, "RENEWAL_LOOK_S", 0.01)
    looked: list[str] = []

    class Looking(Uplink):
        async def _renew(self, enrolment: Enrolment) -> None:
            try:
                await super()._renew(enrolment)
            except Exception as error:
                looked.append(str(error))
                raise
            looked.append("")

    async def main() -> None:
        peer: Any = type("", (), {"members": None})()
        uplink = Looking(peer, "ws://127.0.0.1:9/", lambda: 0, random.Random(1), enrolment=enrolment)
        enrolment.due = lambda now_s: False  # type: ignore[method-assign]
        task = asyncio.create_task(uplink._stay_enrolled())
        kept = path.read_text()
        for broken in (None, "{"):
            if broken is None:
                path.unlink()
            else:
                path.write_text(broken)
            await until(lambda: looked and looked[-1].startswith("IDENTITY_FILE"), "noticed")
            path.write_text(kept)
            await until(lambda: not looked[-1], "and looked at again")
        task.cancel()
        await asyncio.wait([task])

    run(main())


@pytest.mark.parametrize(
    "change", [{"issuers": None}, {"issuers": ["!"]}, {"credential": "AAAA"}, {"keys": {}}]
)
def test_a_file_that_is_not_whole_is_a_coded_error(change: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "identity.json"
    enrol(path)
    kept = {**json.loads(path.read_text()), **change}
    for broken in (kept, {name: value for name, value in kept.items() if value}):
        path.write_text(json.dumps(broken))
        with pytest.raises(HedgerowError, match="IDENTITY_FILE"):
            Enrolment(path)


def renewing(
    enrolment: Enrolment, issuer: Issuer, issuers: list[Issuer], *statements: bytes, **more: Any
) -> Post:
    """Answer a renewal with a credential by `issuer`, as whoever stands between might."""
    keys = {"SEALING_KEY": enrolment.identity.sealing, "AUTHOR": enrolment.author, **more}
    value = issuer.credential(enrolment.identity.agreement, MODE=MODE, **keys)

    def post(path: str, body: dict[str, Any]) -> dict[str, Any]:
        if path == "challenge":
            return {"challenge": text(bytes(40)), "point": text(ROOT.public), "app": "app-1"}
        return {
            "app": "app-1",
            "number": "00",
            "user_id": "x",
            "expires": 1,
            "credential": text(value),
            "issuers": [text(each.public) for each in issuers],
            "statements": [text(each) for each in statements],
        }

    return post


def following(old: Issuer, new: Issuer, app: str = "app-1", kind: str = ISSUER) -> bytes:
    said = {claims.ISS: app, claims.IAT: 1_800_000_000, claims.CNF: claims.key_of(new.public)}
    return bytes(finish(signer.sign1(old.p256, old.private, cbor.encode(said), old.kid, kind)))


def test_a_renewal_brings_no_issuer_that_none_has_named(tmp_path: Path) -> None:
    path = tmp_path / "identity.json"
    enrol(path)
    kept = path.read_text()
    enrolment = Enrolment(path)
    evil, third = Issuer(66), Issuer(67)
    for issuers, statements in (
        ([evil], ()),
        ([ROOT, evil], ()),
        ([ROOT, evil], (following(evil, evil),)),
        ([ROOT, evil], (following(third, evil),)),
        ([ROOT, evil], (following(ROOT, evil, "app-2"),)),
        ([ROOT, evil], (following(ROOT, evil, kind="hg-rev"),)),
        ([ROOT, evil], (following(ROOT, third), following(evil, evil))),
    ):
        with pytest.raises(HedgerowError, match="CREDENTIAL_ISSUER"):
            enrolment.renew(renewing(enrolment, evil, issuers, *statements))
        assert path.read_text() == kept and list(enrolment.trust.roots) == [ROOT.kid]
    # What is signed by whom one knows stays good, and brings nobody in.
    enrolment.renew(renewing(enrolment, ROOT, [ROOT, evil]))
    assert list(Enrolment(path).trust.roots) == [ROOT.kid]
    for wrong in ({"SEALING_KEY": third.public}, {"ISS": "app-2"}):
        with pytest.raises(HedgerowError, match="ENROLMENT_ANSWER|CREDENTIAL_FOREIGN"):
            enrolment.renew(renewing(enrolment, ROOT, [ROOT], **wrong))


def test_a_renewal_follows_the_issuers_word_from_one_to_the_next(tmp_path: Path) -> None:
    path = tmp_path / "identity.json"
    enrol(path)
    enrolment = Enrolment(path)
    second, third = Issuer(68), Issuer(69)
    chain = following(ROOT, second), following(second, third)
    enrolment.renew(renewing(enrolment, third, [third, second], *chain))
    assert set(Enrolment(path).trust.roots) == {second.kid, third.kid} == set(enrolment.trust.roots)


@pytest.mark.parametrize("kinds", [claims.KEEPS, claims.KEEPS | claims.REVOKES, claims.REVOKES, None])
def test_an_uplink_speaks_with_keepers_alone(kinds: int | None, tmp_path: Path) -> None:
    """Anybody with a credential of the mesh may stand where the Big Peer is looked for."""
    path = tmp_path / "identity.json"
    enrol(path)
    p256 = Issuer(70).p256
    private, public = finish(p256.make_key())
    own = Credential(ROOT.credential(public, MODE=MODE, KINDS=kinds, AUTHOR=b"answerer"))
    trust = Trust(p256, ROOT.roots, "app-1", MODE)
    member = Member(Own(private, own.value, own.name), Ephemerals(p256), trust, None, p256.random, MODE)
    enrolment = Enrolment(path)
    for address in ("", "a board"):
        near, far = enrolment.greeting(0, address), Greeting(Answering(member, 0))
        codes = []
        for _ in range(8):
            try:
                for one, other in ((near, far), (far, near)):
                    while record := one.give(1200, 0):
                        other.take(record, 0)
            except HedgerowError as error:
                codes.append(error.code)
                break
        good = bool(address) or bool((kinds or 0) & claims.KEEPS)
        assert codes == ([] if good else ["CREDENTIAL_KIND"]) and near.done


def test_a_log_that_was_made_with_keys_is_not_opened_without(tmp_path: Path) -> None:
    path = tmp_path / "identity.json"
    Gateway(config(tmp_path)).log.close()
    enrol(path)
    kept = path.read_text()
    first = Gateway(config(tmp_path))
    author, kept = first.log.author, path.read_text()
    first.log.close()
    path.unlink()
    for _ in range(2):
        with pytest.raises(HedgerowError, match="IDENTITY_FILE"):
            Gateway(config(tmp_path))
    path.write_text(kept)
    again = Gateway(config(tmp_path))
    assert again.log.author == author
    again.log.close()
