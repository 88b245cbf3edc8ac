"""People: local accounts with argon2, roles, and the sessions behind the cookie of the pages."""

import functools
import hmac
import re
import secrets
from collections.abc import Sequence
from hashlib import sha256
from typing import NamedTuple

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from hedgerow.errors import HedgerowError

from .. import limits
from .audit import Audit
from .database import Database, now

#: Each may do what those before it may: look; revoke and make API keys; set everything.
ROLES = ("viewer", "operator", "admin")
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9._@-]{0,62}[a-z0-9])?")


class User(NamedTuple):
    """A local account."""

    name: str
    role: str
    created: int


class Login(NamedTuple):
    """A person who is logged in; `form` is the text that every form of this login carries."""

    user: str
    role: str
    form: str
    expires: int

    def may(self, role: str) -> bool:
        """Say whether this login's role reaches another."""
        return ROLES.index(self.role) >= ROLES.index(role)


class Accounts:
    """Local accounts and logins. A hash takes tens of milliseconds and 64 MiB: not on the loop."""

    def __init__(self, database: Database, audit: Audit) -> None:
        self._database = database
        self._audit = audit
        self._hasher = PasswordHasher()

    def create(self, actor: str, name: str, role: str, password: str) -> User:
        """Make a local account. Raises USER_INVALID."""
        if not _NAME.fullmatch(name):
            raise HedgerowError("USER_INVALID", "a name is 1 to 64 of a-z, 0-9, and inner . _ @ -")
        if role not in ROLES:
            raise HedgerowError("USER_INVALID", f"role: one of {', '.join(ROLES)}")
        user = User(name, role, now())
        hashed = self._hash(password)
        with self._database.change():
            if self._database.row("SELECT 1 FROM users WHERE name = ?", name) is not None:
                raise HedgerowError("USER_INVALID", f"{name} is there")
            self._database.run("INSERT INTO users VALUES (?, ?, ?, ?)", name, hashed, role, user.created)
            self._audit.add(actor, "user.create", name, role=role)
        return user

    def set_password(self, actor: str, name: str, password: str) -> None:
        """Give an account another password; its logins end. Raises USER_INVALID."""
        hashed = self._hash(password)
        with self._database.change():
            if not self._database.run("UPDATE users SET hash = ? WHERE name = ?", hashed, name):
                raise HedgerowError("USER_INVALID", f"no user {name}"[:100])
            self._database.run("DELETE FROM sessions WHERE user = ?", name)
            self._audit.add(actor, "user.password", name)

    def remove(self, actor: str, name: str) -> None:
        """Remove an account; its logins end. Raises USER_INVALID."""
        with self._database.change():
            if not self._database.run("DELETE FROM users WHERE name = ?", name):
                raise HedgerowError("USER_INVALID", f"no user {name}"[:100])
            self._database.run("DELETE FROM sessions WHERE user = ?", name)
            self._audit.add(actor, "user.remove", name)

    def all(self) -> Sequence[User]:
        """Return every local account, by name."""
        rows = self._database.rows("SELECT name, role, created FROM users ORDER BY name")
        return [User(*row) for row in rows]

    @property
    def any(self) -> bool:
        """Whether there is a local account."""
        return self._database.row("SELECT 1 FROM users LIMIT 1") is not None

    def is_known(self, name: str) -> bool:
        """Say whether there is an account of this name."""
        return self._database.row("SELECT 1 FROM users WHERE name = ?", name) is not None

    def check(self, name: str, password: str) -> User:
        """Return the account that a password opens. Raises LOGIN_FAILED, in the same time for any reason."""
        row = self._database.row("SELECT hash, name, role, created FROM users WHERE name = ?", name)
        try:
            self._hasher.verify(row[0] if row is not None else self._nobody, password)
        except (VerificationError, InvalidHashError):
            raise HedgerowError("LOGIN_FAILED") from None
        if row is None:
            raise HedgerowError("LOGIN_FAILED")
        return User(*row[1:])

    # ---- logins

    def log_in(self, user: str, role: str, by: str) -> tuple[Login, str]:
        """Begin a login; return it with the text of its cookie."""
        token = secrets.token_urlsafe(32)
        at = now()
        login = Login(user, role, secrets.token_urlsafe(24), at + limits.SESSION_SECONDS)
        with self._database.change():
            self._database.run("DELETE FROM sessions WHERE expires <= ?", at)
            # The oldest make room: nobody can lock the others out by logging in often.
            self._database.run(
                "DELETE FROM sessions WHERE hash NOT IN"
                " (SELECT hash FROM sessions ORDER BY created DESC, hash LIMIT ?)",
                limits.SESSIONS - 1,
            )
            values = (_hash(token), login.user, login.role, login.form, at, login.expires)
            self._database.run("INSERT INTO sessions VALUES (?, ?, ?, ?, ?, ?)", *values)
            self._audit.add(f"user:{user}", "login", user, by=by, role=role)
        return login, token

    def logged_in(self, token: str) -> Login | None:
        """Return the login of a cookie, None if there is none or it is over."""
        row = self._database.row(
            "SELECT user, role, form, expires FROM sessions WHERE hash = ? AND expires > ?",
            _hash(token),
            now(),
        )
        return None if row is None else Login(*row)

    def log_out(self, token: str) -> None:
        """End a login."""
        with self._database.change():
            row = self._database.row("SELECT user FROM sessions WHERE hash = ?", _hash(token))
            if row is not None:
                self._database.run("DELETE FROM sessions WHERE hash = ?", _hash(token))
                self._audit.add(f"user:{row[0]}", "logout", row[0])

    @functools.cached_property
    def _nobody(self) -> str:
        """As expensive to check as a real hash, so that time does not tell whether a name is known."""
        return self._hasher.hash(secrets.token_hex(16))

    def _hash(self, password: str) -> str:
        if len(password) < limits.PASSWORD_LEAST or len(password.encode()) > limits.PASSWORD_BYTES:
            raise HedgerowError("USER_INVALID", f"a password has {limits.PASSWORD_LEAST} characters or more")
        return self._hasher.hash(password)


def is_form_of(login: Login, text: str) -> bool:
    """Say whether a form came from a page of this login."""
    return hmac.compare_digest(login.form.encode(), text.encode("utf-8", "replace"))


def _hash(token: str) -> bytes:
    return sha256(token.encode("utf-8", "replace")).digest()
