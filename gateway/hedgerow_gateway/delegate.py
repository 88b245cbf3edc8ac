"""A gateway as a delegate: it enrols boards that never see the internet, within what its delegation allows.

The delegation, and what was issued under it, lie in a folder beside the identity's file, a file each, so that
the command that enrols and the running gateway never write the same one. What was issued is countersigned
when the Big Peer is next met (SPEC 12.6).
"""

import asyncio
import json
import logging
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

from hedgerow.codec import cbor
from hedgerow.crypto import claims
from hedgerow.crypto.claims import Claims
from hedgerow.crypto.confidential import WHOLE, author_key
from hedgerow.crypto.cose import name_of
from hedgerow.crypto.credentials import Credential
from hedgerow.crypto.kdf import expand, extract, hmac, same
from hedgerow.crypto.members import Members
from hedgerow.crypto.port import P256, finish
from hedgerow.crypto.rules import check_author
from hedgerow.crypto.signer import sign1
from hedgerow.errors import HedgerowError

from . import limits
from .enrolment import Enrolment, Post, to_bytes, to_text
from .files import replace_file

logger = logging.getLogger(__name__)

_DELEGATION = "delegation.json"
_PLACE = 6
_NUMBER = 8
_BOARDS = "[0-9]" * _PLACE + "-*.json"
_SEALING = slice(32, 64)


@dataclass(frozen=True)
class Board:
    """A board that was enrolled: its file, its credential as it was issued (base64url), what became of it.

    `state` is "waiting", "countersigned", or the code with which the Big Peer refused it; `proof` (base64url)
    the signature of the board that it has what is in the credential (SPEC 12.6).
    """

    file: str
    credential: str
    state: str = "waiting"
    proof: str = ""

    @property
    def read(self) -> Credential:
        """The credential."""
        return Credential(to_bytes(self.credential))


class Delegate:
    """Asks for a delegation, issues credentials under it, and has them countersigned."""

    def __init__(self, enrolment: Enrolment, now_s: Callable[[], float] = time.time) -> None:
        """Use the folder beside the file of `enrolment`; nothing is read or made yet."""
        self._enrolment = enrolment
        self._now_s = now_s
        self._folder = enrolment.path.with_suffix(".delegated")
        self._challenges: dict[bytes, bytes] = {}

    # ---- the delegation

    def ask(self, post: Post, collections: list[str], peers: int, seconds: int) -> Credential:
        """Get a delegation from the Big Peer in the place of the one before; return it.

        Raises what the Big Peer refuses, CREDENTIAL_UNKNOWN, ENROLMENT_ANSWER.
        """
        enrolment = self._enrolment
        named = {"app": enrolment.claims.issuer}
        challenge = post("challenge", named)
        wanted = {"collections": collections, "peers": peers, "seconds": seconds}
        try:
            given, point = (to_bytes(challenge[name]) for name in ("challenge", "point"))
            proof = enrolment.identity.prove(str(challenge["app"]), given, point)
            shown = {name: to_text(value) for name, value in proof.items()}
            answer = post("delegate", {**named, **wanted, "credential": enrolment.shown, "proof": shown})
            found = Credential(to_bytes(answer["credential"]))
            keepers = [to_text(to_bytes(keeper)) for keeper in answer["keepers"]]
        except (KeyError, TypeError, ValueError) as error:
            raise HedgerowError("ENROLMENT_ANSWER", f"delegate: {error!r}") from None
        if found.claims.sealing != enrolment.identity.sealing or found.claims.delegation is None:
            raise HedgerowError("ENROLMENT_ANSWER", "delegate: a delegation for other keys")
        if finish(enrolment.trust.verify(found)) is not None:
            raise HedgerowError("ENROLMENT_ANSWER", "delegate: no issuer's")
        self._write(_DELEGATION, {"delegation": to_text(found.value), "keepers": keepers})
        return found

    @property
    def delegation(self) -> Credential:
        """The delegation that counts here. Raises DELEGATION_NONE."""
        return Credential(to_bytes(self._kept()["delegation"]))

    def _kept(self) -> dict[str, Any]:
        kept = self._read(_DELEGATION)
        if kept is None:
            raise HedgerowError("DELEGATION_NONE", f"{self._folder}: `hedgerow gateway delegate` gets one")
        return kept

    # ---- boards

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Answer a board's enrolment as the Authentication Service would (SPEC 12.3).

        "challenge", then "login" with the user in the place of a token, and `collections` and `seconds` if
        the board is to have less than the delegation. Raises DELEGATION_NONE, DELEGATION_FULL,
        DELEGATION_INVALID, CREDENTIAL_EXPIRED, PROOF_INVALID, KEY_WORN_OUT.
        """
        app = self._enrolment.claims.issuer
        if path == "challenge":
            # What the board signs is good for one credential under this delegation, and no other.
            challenge = os.urandom(_NUMBER) + self.delegation.claims.cti
            private, point = finish(P256(os.urandom).make_key())
            self._challenges = {challenge: private}
            return {"challenge": to_text(challenge), "point": to_text(point), "app": app}
        proof = {name: to_bytes(value) for name, value in body["proof"].items()}
        self._check(app, proof)
        kept = self._kept()
        delegation = Credential(to_bytes(kept["delegation"]))
        if proof["challenge"][_NUMBER:] != delegation.claims.cti:
            raise HedgerowError("CHALLENGE_INVALID", "of another delegation")
        signed = self._issue(delegation, proof, body)
        found = Credential(signed)
        finish(self._enrolment.trust.verify(found, delegation.value))
        place = 1 + max((int(name[:_PLACE]) for name in self._names()), default=0)
        name = f"{place:0{_PLACE}}-{found.claims.cti.hex()}.json"
        self._write(name, asdict(Board(name, to_text(signed), proof=to_text(proof["signature"]))))
        answer = {
            "app": app,
            "number": found.claims.cti.hex(),
            "user_id": found.claims.subject,
            "expires": found.claims.expires,
            "credential": to_text(found.value),
            "issuers": [to_text(point) for point in self._enrolment.trust.roots.values()],
            "keepers": kept["keepers"],
            "delegation": kept["delegation"],
        }
        keys = _keys_for(found.claims, self._enrolment.granted()[1])
        if keys:
            answer["keys"] = to_text(cbor.encode(keys))
        return answer

    def _check(self, app: str, proof: dict[str, bytes]) -> None:
        """Judge a board's proof of both keys and its log (SPEC 12.4); a challenge is good once."""
        private = self._challenges.pop(proof["challenge"], None)
        if private is None:
            raise HedgerowError("CHALLENGE_INVALID", "not ours")
        agreement, sealing, author = proof["agreement"], proof["sealing"], proof["author"]
        covered = cbor.encode(["hedgerow proof", app, proof["challenge"], agreement, sealing, author])
        p256 = P256(os.urandom)
        shared = finish(p256.agree(private, agreement))
        key = expand(extract(proof["challenge"], shared), b"hedgerow proof", 32)
        if agreement == sealing or not same(hmac(key, covered)[:16], proof["tag"]):
            raise HedgerowError("PROOF_INVALID", "agreement key")
        if not finish(p256.verify(sealing, covered, proof["signature"])):
            raise HedgerowError("PROOF_INVALID", "sealing key")
        if author != claims.author_of(sealing, proof["salt"]):
            raise HedgerowError("AUTHOR_TAKEN", "not made with this sealing key")

    def _issue(self, delegation: Credential, proof: dict[str, bytes], body: dict[str, Any]) -> bytes:
        given = delegation.claims
        _, peers, until = given.delegation or [[], 0, 0]
        # A clock that is behind is no reason: it is not earlier than when the delegation was given.
        at = max(int(self._now_s()), given.issued)
        if at >= until:
            raise HedgerowError("CREDENTIAL_EXPIRED", "the delegation's time is over")
        identity = self._enrolment.identity
        if proof["sealing"] == identity.sealing or proof["agreement"] == identity.agreement:
            raise HedgerowError("DELEGATION_INVALID", "a delegate enrols others, not itself")
        boards = self.boards()
        authors = {
            board.read.claims.author for board in boards if board.read.claims.sealing == proof["sealing"]
        }
        owner = proof["sealing"] if proof["author"] in authors else None
        check_author(proof["author"], proof["sealing"], owner, len(authors))
        enrolled = {board.read.claims.sealing for board in boards if _is_under(board, given)}
        if proof["sealing"] not in enrolled and len(enrolled) >= peers:
            raise HedgerowError("DELEGATION_FULL", f"{peers} peers")
        wanted = body.get("collections")
        scope = [list(entry) for entry in given.scope if not wanted or entry[0] in wanted]
        missing = set(wanted or ()) - {entry[0] for entry in scope}
        if missing:
            raise HedgerowError("DELEGATION_INVALID", f"no right to {', '.join(sorted(missing))}"[:200])
        values = {
            claims.ISS: given.issuer,
            claims.SUB: body.get("token") or f"board-{proof['author'].hex()}",
            claims.EXP: min(until, at + body.get("seconds", until)),
            claims.IAT: at,
            claims.CTI: proof["challenge"][:_NUMBER],
            claims.CNF: claims.key_of(proof["agreement"]),
            claims.SCOPE: scope,
            claims.SEALING_KEY: proof["sealing"],
            claims.AUTHOR: proof["author"],
            claims.SALT: proof["salt"],
            claims.MODE: given.mode,
            claims.UNDER: given.cti,
        }
        payload = cbor.encode(values)
        Claims.decode(payload)
        kid = name_of(identity.sealing)
        signed: bytes = finish(sign1(identity.p256, identity.keys[_SEALING], payload, kid))
        return signed

    def boards(self) -> list[Board]:
        """Return the boards that were enrolled, the oldest first. Raises IDENTITY_FILE."""
        kept = [self._read(name) for name in self._names()]
        try:
            found = [Board(**each) for each in kept if each is not None]
            for board in found:
                assert board.read
            return found
        except (TypeError, ValueError, HedgerowError) as error:
            raise HedgerowError("IDENTITY_FILE", f"{self._folder}: {error}") from None

    def _names(self) -> list[str]:
        return sorted(path.name for path in self._folder.glob(_BOARDS)) if self._folder.is_dir() else []

    def counts(self) -> dict[str, int]:
        """Return how many boards wait to be countersigned, are, and were refused."""
        states = [board.state for board in self.boards()]
        waiting, signed = (states.count(state) for state in ("waiting", "countersigned"))
        return {"waiting": waiting, "countersigned": signed, "refused": len(states) - waiting - signed}

    def changed(self) -> int:
        """Return a number that is another one after the folder has changed."""
        return self._folder.stat().st_mtime_ns if self._folder.is_dir() else 0

    # ---- the Big Peer

    def countersign(self, post: Post) -> list[Board]:
        """Have what waits countersigned; return what was settled. Raises UPLINK_LOST, ENROLMENT_ANSWER."""
        waiting = [board for board in self.boards() if board.state == "waiting"]
        settled: list[Board] = []
        while waiting:
            some = _fitting(waiting)
            waiting = waiting[len(some) :]
            body = {
                "app": self._enrolment.claims.issuer,
                "credentials": [board.credential for board in some],
                "proofs": [board.proof for board in some],
            }
            answers = post("countersign", body).get("credentials")
            if not isinstance(answers, list) or len(answers) != len(some):
                raise HedgerowError("ENROLMENT_ANSWER", "countersign")
            settled += [self._settle(board, answer) for board, answer in zip(some, answers, strict=True)]
        return settled

    def _settle(self, board: Board, answer: Any) -> Board:
        try:
            state = "countersigned" if "credential" in dict(answer) else str(answer["error"]["code"])
        except (KeyError, TypeError, ValueError):
            raise HedgerowError("ENROLMENT_ANSWER", "countersign") from None
        after = replace(board, state=state)
        self._write(board.file, asdict(after))
        return after

    # ---- files

    def _read(self, name: str) -> dict[str, Any] | None:
        path = self._folder / name
        try:
            kept = json.loads(path.read_text(encoding="utf-8"))
            if not isinstance(kept, dict):
                raise ValueError("no JSON object")
            return kept
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise HedgerowError("IDENTITY_FILE", f"{path}: {error}") from None

    def _write(self, name: str, content: dict[str, Any]) -> None:
        replace_file(self._folder / name, json.dumps(content, indent=1))


async def know_boards(delegate: Delegate, members: Members) -> None:
    """Let `members` know the boards that were enrolled here, by whichever process, until cancelled."""
    seen: int | None = None
    said = ""
    while True:
        try:
            changed = delegate.changed()
            if changed != seen:
                _know(delegate.boards(), members)
                seen, said = changed, ""
        except HedgerowError as error:
            # A file that is broken stays so until somebody mends it: it is read again, and told once.
            if str(error) != said:
                said = str(error)
                logger.warning("boards that were enrolled here: %s", said)
        await asyncio.sleep(limits.DELEGATED_LOOK_S)


def _know(boards: list[Board], members: Members) -> None:
    for board in boards:
        try:
            # Its proof was judged here, unless the Big Peer has judged otherwise since.
            members.meet(board.read, board.state in ("waiting", "countersigned"))
        except HedgerowError as error:
            logger.warning("board %s, enrolled here: %s", board.read.claims.cti.hex(), error)


def _keys_for(holder: Claims, granted: list[list[Any]]) -> list[list[Any]]:
    """Return which keys of confidential collections (SPEC 11.17) the holder of a credential gets of those
    that were granted here: the collection's for who may read all of it, its author's for who may only write.
    """
    found = []
    for collection, epoch, key in granted:
        if len(key) != WHOLE:
            # Ours to write under, and nobody else's.
            continue
        if "" in holder.may(collection, claims.READ):
            found.append([collection, epoch, key])
        elif holder.may(collection, claims.WRITE) and holder.author:
            found.append([collection, epoch, author_key(key, holder.author)])
    return found


def _is_under(board: Board, delegation: Claims) -> bool:
    return board.read.claims.under == delegation.cti


def _fitting(boards: list[Board]) -> list[Board]:
    """Return the first of these that fit one request; one at least."""
    size, count = 0, 0
    for board in boards:
        size += len(board.credential) + len(board.proof)
        if count and size >= limits.COUNTERSIGN_BYTES:
            break
        count += 1
    return boards[:count]
