"""What one session brings, author by author: good content into submissions, bad content isolated.

A gateway relays many authors. Content that one of them got wrong (a seal that fails its check, a gap, an
operation against the rules, our own name) must not hold up the others: the author is refused for the rest
of the session, and what came before the bad entry stands.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence

from hedgerow.codec.schema import Schema
from hedgerow.codec.segment import decode_segment, segment_schemas
from hedgerow.codec.varint import read_uint
from hedgerow.custody.skip import Skip
from hedgerow.errors import HedgerowError
from hedgerow.trust.seal import Seal
from hedgerow_host.fork import Evidence, Suspects

from . import limits
from .names import is_collection
from .service import Service
from .store.rows import Entry, NameEntry, Operation, SchemaEntry, SealEntry, SkipEntry, Submission

# Codes that are no author's doing.
_FORM = ("SEGMENT_", "VARINT_")
_STORE = ("STORE_FAILED", "STORE_MOVED")


class Intake:
    """Collects what a session's events bring, and commits it.

    A method that raises HedgerowError has found a fault of the session itself. `source` says in the log
    whose session it is. `came` are the (first, last) numbers that it has brought of each author, `forged` the
    authors whose seals are not their word, `offered` up to which number the other side has said to hold
    authors. `learn` looks for credentials that are not known yet; `owner` says
    which author the other side has shown to be. What others bring of an author with a credential waits for
    its seal (SPEC 12.13).
    """

    def __init__(
        self,
        service: Service,
        source: Callable[[], str],
        learn: Callable[[], Awaitable[None]] | None = None,
        owner: Callable[[], bytes | None] = lambda: None,
    ) -> None:
        self._owner = owner
        self._learn = learn
        self._unknown: set[bytes] = set()
        self._forgiven: set[bytes] = set()
        self._service = service
        self._source = source
        self._own = service.store.identity.author
        self._refused: set[bytes] = set()
        self._news: list[tuple[bytes, HedgerowError]] = []
        self._stalled: set[bytes] = set()
        self._withheld: dict[bytes, str] = {}
        self._pending: dict[bytes, Schema] = {}
        self._names: list[Entry] = []
        self._runs: dict[bytes, list[Entry]] = {}
        self.entries = 0
        self.came: dict[bytes, tuple[int, int]] = {}
        self.forged: list[tuple[bytes, HedgerowError]] = []
        self.offered: dict[bytes, int] = {}
        self._suspects = Suspects()
        self._again: list[tuple[bytes, int]] = []
        self._evidence: list[Evidence] = []

    def add_name(self, author: bytes, name: str) -> None:
        """Take what an author calls itself."""
        if self._is_known(author) or not self._is_full():
            self._names.append(NameEntry(author, name.replace("\0", "\ufffd")))

    def add_schema(self, encoded: bytes) -> None:
        """Take a schema. One that cannot be learnt is withheld: who uses it will be refused."""
        schema = Schema.decode(encoded)
        if not is_collection(schema.collection):
            self._withheld[schema.name] = "SCHEMA_INVALID"
            return
        known = self._pending.get(schema.name) or self._service.schemas.get(schema.name)
        if known is not None and known.hash != schema.hash:
            self._withheld[schema.name] = "SCHEMA_CONFLICT"
        elif known is None and len(self._service.schemas) + len(self._pending) >= limits.SCHEMAS:
            self._withheld[schema.name] = "SCHEMAS_FULL"
        else:
            self._pending[schema.name] = schema
        if len(self._withheld) > limits.SCHEMAS:
            raise HedgerowError("SCHEMAS_FULL", f"{limits.SCHEMAS} withheld")

    def add_segment(self, data: bytes) -> bytes | None:
        """Take operations; return their author, None if that one is refused.

        SCHEMA_UNKNOWN makes the author wait: commit() names it, and what comes meanwhile is passed over.
        """
        author = bytes(data[1:9])
        if self._suspects.watches(author):
            self._watch(author, data)
        if author in self._refused:
            return None
        waits = author in self._stalled or author in self._forgiven
        if waits and read_uint(data, 9)[0] > self._service.frontier(author).held + 1:
            return author
        try:
            author, first, bodies = decode_segment(data, self._schemas())
            self._check_schemas(segment_schemas(bodies) if self._withheld else ())
        except HedgerowError as error:
            if error.code.startswith(_FORM):
                raise
            self._misread(author, error)
            return author
        self._stalled.discard(author)
        self._forgiven.discard(author)
        if self._admit(author, first + len(bodies) - 1):
            run = self._runs.setdefault(author, [])
            run += [SchemaEntry(self._pending[name].encoded) for name in self._fresh(bodies)]
            run += [Operation(author, number, body) for number, body in enumerate(bodies, first)]
            self.entries += len(bodies)
            self.came[author] = (min(first, self.came.get(author, (first,))[0]), first + len(bodies) - 1)
        return author

    def add_pick(self, data: bytes) -> None:
        """Take survivors of what is held as lost; nothing else was asked for."""
        try:
            author, first, bodies = decode_segment(data, self._schemas())
        except HedgerowError as error:
            if error.code == "SCHEMA_UNKNOWN":
                # Asked for again in another session.
                return
            raise
        held = self._service.frontier(author).held
        survivors = [(number, body) for number, body in enumerate(bodies, first) if number <= held]
        if self._is_guarded(author):
            # Behind what is sealed a seal would have to fit them.
            sealed = self._service.frontier(author).sealed
            survivors = [(number, body) for number, body in survivors if number <= sealed]
        if survivors and author not in self._refused and author != self._own:
            run = self._runs.setdefault(author, [])
            run += [Operation(author, number, body) for number, body in survivors]
            self.entries += len(survivors)

    def add_seal(self, author: bytes, body: bytes) -> None:
        """Take a seal, in its place between an author's operations."""
        last = Seal.decode(body).last
        if self._suspects.watches(author):
            found = self._suspects.seal(author, body)
            self._evidence += [found] if found is not None else []
        if last <= self._service.frontier(author).held:
            # Of what is here already nothing has to come before it.
            self._forgiven.discard(author)
        self._add(SealEntry(author, body), last)

    def add_skip(self, author: bytes, body: bytes) -> None:
        """Take a skip."""
        self._add(SkipEntry(author, body), Skip.decode(body).last)

    def offer(self, author: bytes, held: int) -> None:
        """Take that the other side holds an author up to a number."""
        self.check_own(author, held)
        if author in self.offered or len(self.offered) < limits.SESSION_AUTHORS:
            self.offered[author] = held

    def check_own(self, author: bytes, held: int) -> None:
        """Refuse our own author where others hold more of it than we do: our storage was set back."""
        if author == self._own and author not in self._refused and held > self._service.frontier(author).held:
            self.refuse(author, HedgerowError("SYNC_OWN_AUTHOR", f"{held} held elsewhere"))

    def refuse(self, author: bytes, error: HedgerowError) -> None:
        """Take nothing more of an author in this session."""
        if len(self._refused) >= limits.SESSION_REFUSED:
            raise HedgerowError("AUTHORS_FULL", f"{limits.SESSION_REFUSED} authors refused")
        self._refused.add(author)
        self._stalled.discard(author)
        self._news.append((author, error))

    async def commit(self) -> list[bytes]:
        """Make all that was taken durable; return the authors that newly wait for a schema."""
        if self._learn is not None and any(map(self._is_new, self._runs)):
            # Unknown, what a relay changes would stand unsealed in the place of the author's own.
            await self._learn()
        schemas = [Submission([SchemaEntry(schema.encoded)]) for schema in self._pending.values()]
        names = [Submission(self._names)] if self._names else []
        waiting = [author for author in self._runs if author in self._stalled]
        runs = self._ripe()
        submissions = [*schemas, *names, *(run for _, run in runs)]
        learnt = list(self._pending)
        self._pending, self._names, self.entries = {}, [], 0
        errors = await self._offer(submissions) if submissions else []
        for error in errors:
            if error is not None and error.code in _STORE:
                raise error
        for name, error in zip(learnt, errors, strict=False):
            if error is not None:
                self._withheld[name] = error.code
        for (author, run), error in zip(runs, errors[len(submissions) - len(runs) :], strict=True):
            if error is not None and author not in self._refused:
                self.refuse(author, error)
                if error.code == "SEAL_INVALID":
                    self._suspect(author, run.entries, error)
        self._service.brought.update(author for author, _ in runs)
        for author, error in self._news:
            if error.code == "CREDENTIAL_UNKNOWN":
                self._unknown.add(author)
            if error.code == "SEAL_INVALID" and author != self._owner():
                self.forged.append((author, error))
            self._service.refusals.note(self._service.frontier(author), error, self._source())
        self._news.clear()
        return waiting

    def doubted(self) -> tuple[list[tuple[bytes, int]], list[Evidence]]:
        """Return (author, number behind which it is to come again), and evidence of forks; both once."""
        found = self._again, self._evidence
        self._again, self._evidence = [], []
        return found

    def _suspect(self, author: bytes, entries: Sequence[Entry], error: HedgerowError) -> None:
        """Have what a seal covers that failed come again: whose word it is can be seen from that alone."""
        for entry in entries:
            if isinstance(entry, SealEntry) and error.detail.endswith(f" {_range(entry.body)}"):
                number = self._suspects.suspect(author, entry.body)
                if number is not None:
                    self._again.append((author, number))
                return

    def _watch(self, author: bytes, data: bytes) -> None:
        try:
            _, first, bodies = decode_segment(data, self._schemas())
            self._suspects.hear(author, first, bodies, self._schemas())
        except HedgerowError:
            # Then it is no evidence.
            pass

    async def _offer(self, submissions: list[Submission]) -> list[HedgerowError | None]:
        """Offer submissions; once more those for which a credential is to be looked for."""
        errors = await self._service.offer(submissions)
        if self._learn is not None and any(error and error.code == "CREDENTIAL_UNKNOWN" for error in errors):
            # With those that had to follow what was refused for it.
            again = [at for at, error in enumerate(errors) if error]
            await self._learn()
            for at, error in zip(
                again, await self._service.offer(submissions[at] for at in again), strict=True
            ):
                errors[at] = error
        return errors

    def _ripe(self) -> list[tuple[bytes, Submission]]:
        """Return (author, what may be offered now) of the runs, in order; keep what waits for a seal."""
        found: list[tuple[bytes, Submission]] = []
        runs, self._runs, waiting = self._runs, {}, 0
        for author, run in runs.items():
            if not run:
                continue
            if not self._is_guarded(author):
                found.append((author, Submission(run, whole=False)))
                continue
            start = 0
            for end in _ends(run, self._service.frontier(author).sealed):
                found.append((author, Submission(run[start:end])))
                start = end
            # Schemas are offered by themselves.
            rest: list[Entry] = [entry for entry in run[start:] if not isinstance(entry, SchemaEntry)]
            waiting += len(rest)
            if author in self._stalled or author in self._refused or not rest:
                # It comes again from what is held.
                continue
            if len(rest) > limits.UNSEALED or waiting > limits.SESSION_UNSEALED:
                waiting -= len(rest)
                self.refuse(author, HedgerowError("SYNC_GAP", f"no seal over {len(rest)} operations"))
                continue
            self._runs[author] = rest
        return found

    def _is_guarded(self, author: bytes) -> bool:
        """Say whether only a seal shows that what this session brings of an author is that author's."""
        rules = self._service.store.rules
        return rules is not None and rules.knows(author) and self._owner() != author

    def _is_new(self, author: bytes) -> bool:
        """Say whether this is the first of an author, whose credential may be of a moment ago."""
        rules = self._service.store.rules
        known = rules is None or rules.knows(author) or self._owner() == author
        return not known and not self._service.frontier(author).held

    def refuses(self, author: bytes) -> bool:
        """Say whether nothing more of an author is taken."""
        return author in self._refused

    def take_again(self, author: bytes) -> None:
        """Take an author again of which a seal did not fit what was held."""
        self._refused.discard(author)
        self._forgiven.add(author)

    def forgive(self) -> list[bytes]:
        """Take authors again that were refused for a credential that nobody knew; return them."""
        found = sorted(self._unknown)
        self._refused -= self._unknown
        self._forgiven |= self._unknown
        self._unknown.clear()
        return found

    def _schemas(self) -> dict[bytes, Schema]:
        if not self._pending and not self._withheld:
            return self._service.schemas
        known = {**self._service.schemas, **self._pending}
        return {name: schema for name, schema in known.items() if name not in self._withheld}

    def _check_schemas(self, names: Iterable[bytes]) -> None:
        for name in names:
            if name in self._withheld:
                raise HedgerowError(self._withheld[name], f"schema {name.hex()}")

    def _misread(self, author: bytes, error: HedgerowError) -> None:
        """Let an author wait for a schema, once; refuse it for anything else."""
        if error.code == "SCHEMA_UNKNOWN":
            withheld = [code for name, code in self._withheld.items() if repr(name) == error.detail]
            if withheld:
                error = HedgerowError(withheld[0], f"schema {error.detail}")
            elif author not in self._stalled:
                self._stalled.add(author)
                self._runs.setdefault(author, [])
                return
        self.refuse(author, error)

    def _fresh(self, bodies: list[bytes]) -> list[bytes]:
        """Return the schemas that came with this batch and that these operations use."""
        return [name for name in segment_schemas(bodies) if name in self._pending] if self._pending else []

    def _add(self, entry: SealEntry | SkipEntry, last: int) -> None:
        waits = self._refused | self._stalled | self._forgiven
        if entry.author not in waits and self._admit(entry.author, last):
            self._runs.setdefault(entry.author, []).append(entry)
            self.entries += 1

    def _admit(self, author: bytes, last: int) -> bool:
        """Say whether content of an author that reaches up to `last` may be taken."""
        if author == self._own:
            # What we hold ourselves is passed over.
            self.check_own(author, last)
            return False
        if not self._is_known(author) and self._is_full():
            self.refuse(author, HedgerowError("AUTHORS_FULL", str(limits.AUTHORS)))
            return False
        return True

    def _is_known(self, author: bytes) -> bool:
        return author in self._service.frontiers or author in self._runs

    def _is_full(self) -> bool:
        return len(self._service.frontiers) + len(self._runs) >= limits.AUTHORS


def _range(body: bytes) -> str:
    seal = Seal.decode(body)
    return f"{seal.first}-{seal.last}"


def _ends(run: list[Entry], sealed: int) -> list[int]:
    """Return where the parts of a run end that seals vouch for, or that are not behind what is `sealed`."""
    ends: list[int] = []
    free, waits = 0, False
    for at, entry in enumerate(run, 1):
        waits = waits or (isinstance(entry, Operation) and entry.number > sealed)
        if isinstance(entry, SealEntry):
            waits = False
            ends.append(at)
        elif not waits:
            free = at
    if free > (ends[-1] if ends else 0):
        ends.append(free)
    return ends
