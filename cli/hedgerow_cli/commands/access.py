"""`hedgerow bigpeer apps`, `keys`, `providers`, `users`, `credentials`, `forks`, `audit`: who may do what.

They work on the Big Peer's data directory, or on the PostgreSQL that HEDGEROW_STORE names, beside running
servers or without one: whoever may write there is the administrator. What is done holds at once, and stands
in the audit log.
"""

import contextlib
import getpass
import json
import os
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from hedgerow.errors import HedgerowError
from hedgerow_cli.extras import extra
from hedgerow_cli.output import JSON_OPTION, print_json, print_table, say

apps = typer.Typer(no_args_is_help=True, help="Apps: each is a data set with its own issuer, keys and mode.")
keys = typer.Typer(no_args_is_help=True, help="API keys for the HTTP Data API and for gateways' uplinks.")
providers = typer.Typer(no_args_is_help=True, help="Identity providers: who vouches for users.")
users = typer.Typer(no_args_is_help=True, help="Local accounts for the pages.")
credentials = typer.Typer(no_args_is_help=True, help="Credentials of peers, and their revocation.")
forks = typer.Typer(no_args_is_help=True, help="Authors whose key has sealed two contents under one number.")

Data = Annotated[
    Path, typer.Option(help="Folder of the Big Peer's database; HEDGEROW_STORE names a shared one.")
]
AppName = Annotated[str, typer.Option("--app", help="The app, by name or id.")]
DATA = Path("bigpeer-data")
_APP = "default"


@contextlib.contextmanager
def registry_of(data: Path) -> Iterator[tuple[Any, Any]]:
    """Open the registry of a data directory, or of a shared store; yields what manages it, and itself."""
    with extra("bigpeer"):
        from hedgerow_bigpeer.auth import manage
        from hedgerow_bigpeer.auth.registry import Registry
    key = os.environ.get("HEDGEROW_RIGHTS_KEY")
    registry = Registry(data, os.environ.get("HEDGEROW_STORE", ""), Path(key) if key else None)
    try:
        yield manage, registry
    finally:
        registry.close()


def actor() -> str:
    """Return who is at the command line, for the audit log."""
    return f"command:{getpass.getuser()}"


@apps.command("list")
def apps_list(data: Data = DATA, as_json: Annotated[bool, JSON_OPTION] = False) -> None:
    """Show every app."""
    with registry_of(data) as (manage, registry):
        rows = manage.list_apps(registry)
    show(as_json, "apps", rows, ("name", "mode", "mesh", "id"))


@apps.command("show")
def apps_show(name: AppName = _APP, data: Data = DATA, as_json: Annotated[bool, JSON_OPTION] = False) -> None:
    """Show an app: its id, the token of a playground, and the keys that sign."""
    with registry_of(data) as (manage, registry):
        row = manage.show_app(registry, registry.apps.get(name))
    if as_json:
        print_json(row)
        return
    for key in ("name", "id", "mode", "mesh", "token"):
        say(f"{key} {escape(str(row[key]))}")
    for issuer in row["issuers"]:
        until = f", until {_moment(issuer['retires'])}" if issuer["retires"] else ""
        say(f"issuer {issuer['kid']} {issuer['point']}{until}")


@apps.command("add")
def apps_add(
    name: Annotated[str, typer.Argument(help="Its name: a-z, 0-9 and hyphens.")],
    mode: Annotated[str, typer.Option(help="'production' or 'playground'.")] = "production",
    mesh: Annotated[str, typer.Option(help="Name of its mesh; the app's name by default.")] = "",
    data: Data = DATA,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Make an app; `hedgerow bigpeer run --app NAME --mesh MESH` serves it."""
    with registry_of(data) as (manage, registry):
        row = manage.create_app(registry, actor(), name, mode, mesh or name)
    done(as_json, row, f"app {row['name']} {row['id']}")


@apps.command("token")
def apps_token(
    name: AppName = _APP, data: Data = DATA, as_json: Annotated[bool, JSON_OPTION] = False
) -> None:
    """Give a playground another token; the old one lets nobody in any more."""
    with registry_of(data) as (manage, registry):
        row = manage.renew_token(registry, actor(), name)
    done(as_json, row, f"token {row['token']}")


@apps.command("rotate")
def apps_rotate(
    name: AppName = _APP,
    overlap_days: Annotated[
        int, typer.Option(help="How long what the old key signed still counts, in days.", min=0, max=365)
    ] = 45,
    data: Data = DATA,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Let another key sign for an app from now on."""
    with registry_of(data) as (manage, registry):
        row = manage.rotate(registry, actor(), name, overlap_days * 86_400)
    done(as_json, row, f"issuer {row['issuers'][0]['kid']} signs")


@apps.command("rekey")
def apps_rekey(
    name: AppName = _APP, data: Data = DATA, as_json: Annotated[bool, JSON_OPTION] = False
) -> None:
    """Give the mesh of an app in production another group key; members get it in their next session."""
    with registry_of(data) as (manage, registry):
        row = manage.rekey(registry, actor(), name)
    done(as_json, row, f"epoch {row['epoch']} has begun")


@keys.command("list")
def keys_list(app: AppName = _APP, data: Data = DATA, as_json: Annotated[bool, JSON_OPTION] = False) -> None:
    """Show the API keys of an app, without their secrets."""
    with registry_of(data) as (manage, registry):
        rows = manage.list_keys(registry, app)
    show(as_json, "keys", rows, ("id", "name", "verbs", "permission", "expires", "revoked"))


@keys.command("add")
def keys_add(
    name: Annotated[str, typer.Argument(help="What it is for: a-z, 0-9 and hyphens.")],
    verb: Annotated[
        list[str], typer.Option(help="What it may do: read, write, sync, status, revoke, admin; repeat it.")
    ],
    collection: Annotated[
        list[str] | None, typer.Option(help="A collection that it may read or write; all by default.")
    ] = None,
    permission: Annotated[
        str, typer.Option(help="Rights with conditions instead, as JSON in the form of Ditto's permissions.")
    ] = "",
    days: Annotated[int, typer.Option(help="Days until it expires.", min=1, max=365)] = 30,
    app: AppName = _APP,
    data: Data = DATA,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Make an API key; it is shown this once, and stored as a hash."""
    wanted: dict[str, Any] = {"name": name, "verbs": verb, "days": days}
    if collection:
        wanted["collections"] = collection
    if permission:
        wanted["permission"] = _json(permission, "--permission")
    with registry_of(data) as (manage, registry):
        row = manage.create_key(registry, actor(), app, wanted)
    done(as_json, row, row["key"])


@keys.command("revoke")
def keys_revoke(
    key: Annotated[str, typer.Argument(help="Its id, as `keys list` shows it.")],
    app: AppName = _APP,
    data: Data = DATA,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """End an API key at once and for ever."""
    with registry_of(data) as (manage, registry):
        row = manage.revoke_key(registry, actor(), app, key)
    done(as_json, row, f"{row['name']} is revoked")


@providers.command("list")
def providers_list(
    app: AppName = _APP, data: Data = DATA, as_json: Annotated[bool, JSON_OPTION] = False
) -> None:
    """Show the identity providers of an app, without their secrets."""
    with registry_of(data) as (manage, registry):
        rows = manage.list_providers(registry, app)
    show(as_json, "providers", rows, ("name", "type", "webhookUrl", "issuer"))


@providers.command("set")
def providers_set(
    name: Annotated[str, typer.Argument(help="The name that peers say.")],
    settings: Annotated[
        str, typer.Argument(help="Its settings as JSON; '-' reads them from standard input, for secrets.")
    ],
    app: AppName = _APP,
    data: Data = DATA,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Add an identity provider, or set it anew; docs/settings.md has its settings."""
    wanted = _json(sys.stdin.read() if settings == "-" else settings, "SETTINGS")
    with registry_of(data) as (manage, registry):
        row = manage.set_provider(registry, actor(), app, name, wanted)
    done(as_json, row, f"{row['name']} is set")


@providers.command("remove")
def providers_remove(
    name: Annotated[str, typer.Argument(help="Its name.")],
    app: AppName = _APP,
    data: Data = DATA,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Remove an identity provider: nobody logs in or renews by it any more."""
    with registry_of(data) as (manage, registry):
        row = manage.remove_provider(registry, actor(), app, name)
    done(as_json, row, f"{row['name']} is removed")


@users.command("list")
def users_list(data: Data = DATA, as_json: Annotated[bool, JSON_OPTION] = False) -> None:
    """Show the local accounts."""
    with registry_of(data) as (manage, registry):
        rows = manage.list_users(registry)
    show(as_json, "users", rows, ("name", "role", "created"))


@users.command("add")
def users_add(
    name: Annotated[str, typer.Argument(help="The name to log in with.")],
    role: Annotated[str, typer.Option(help="'viewer', 'operator' or 'admin'.")] = "viewer",
    data: Data = DATA,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Make a local account; the password is asked for, or is a line on standard input."""
    password = _password()
    with registry_of(data) as (manage, registry):
        row = manage.create_user(registry, actor(), name, role, password)
    done(as_json, row, f"{row['name']} is {row['role']}")


@users.command("password")
def users_password(
    name: Annotated[str, typer.Argument(help="Whose.")],
    data: Data = DATA,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Give a local account another password; its logins end."""
    password = _password()
    with registry_of(data) as (manage, registry):
        row = manage.set_password(registry, actor(), name, password)
    done(as_json, row, f"{row['name']} has another password")


@users.command("remove")
def users_remove(
    name: Annotated[str, typer.Argument(help="Whose.")],
    data: Data = DATA,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Remove a local account; its logins end."""
    with registry_of(data) as (manage, registry):
        row = manage.remove_user(registry, actor(), name)
    done(as_json, row, f"{row['name']} is removed")


@credentials.command("list")
def credentials_list(
    user: Annotated[str, typer.Option(help="Only those of this user.")] = "",
    app: AppName = _APP,
    data: Data = DATA,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Show what was issued, the newest first."""
    with registry_of(data) as (manage, registry):
        rows = manage.list_credentials(registry, app, user)
    show(as_json, "credentials", rows, ("number", "user", "author", "provider", "expires", "revoked", "last"))


@credentials.command("revoke")
def credentials_revoke(
    number: Annotated[str, typer.Argument(help="Its number, as `credentials list` shows it.")],
    last: Annotated[
        int,
        typer.Option(
            help="Number of its author's last operation that stays accepted; it may only rise.", min=0
        ),
    ],
    app: AppName = _APP,
    data: Data = DATA,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Revoke a credential, or raise the last accepted number of one that is revoked."""
    asked = _hexadecimal(number)
    with registry_of(data) as (manage, registry):
        row = manage.revoke(registry, actor(), app, asked, last)
    done(as_json, row, f"{row['number']} of {row['user']} is revoked, up to {row['last']} accepted")


@forks.command("list")
def forks_list(app: AppName = _APP, data: Data = DATA, as_json: Annotated[bool, JSON_OPTION] = False) -> None:
    """Show the authors whose key has sealed two contents under one number; `audit` has the evidence."""
    with registry_of(data) as (manage, registry):
        rows = manage.list_forks(registry, app)
    show(as_json, "forks", rows, ("author", "last", "said"))


@forks.command("accept")
def forks_accept(
    author: Annotated[str, typer.Argument(help="The author, as `forks list` shows it.")],
    last: Annotated[
        int,
        typer.Option(help="Number of its last operation that is to count; it may only rise.", min=0),
    ],
    app: AppName = _APP,
    data: Data = DATA,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Let more of an author that has forked count, once it is clear that what is held is the true one's."""
    with registry_of(data) as (manage, registry):
        row = manage.accept_fork(registry, actor(), app, _hexadecimal(author), last)
    done(as_json, row, f"{row['author']} counts up to {row['last']}")


def audit(
    limit: Annotated[int, typer.Option(help="Rows to show, the newest first.", min=1, max=10_000)] = 50,
    action: Annotated[str, typer.Option(help="Only this action, such as key.revoke.")] = "",
    check: Annotated[
        bool, typer.Option("--check", help="Look whether the log was edited or cut, too.")
    ] = False,
    data: Data = DATA,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Show who did what: apps, keys, logins, credentials, refusals."""
    with registry_of(data) as (manage, registry):
        found = manage.list_audit(registry, limit, None, action)
        broken = manage.check_audit(registry)["broken_at"] if check else None
    if as_json:
        print_json({**found, **({"broken_at": broken} if check else {})})
    else:
        show(False, "audit", found["audit"], ("id", "at", "actor", "action", "subject", "detail"))
    if broken is not None:
        raise HedgerowError("REGISTRY_FAILED", f"the audit log was edited at row {broken}")


def _hexadecimal(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise HedgerowError("ARGUMENTS_INVALID", f"{text} is not hexadecimal") from None


def show(as_json: bool, name: str, rows: list[dict[str, Any]], columns: tuple[str, ...]) -> None:
    """Print rows as a table, or as JSON."""
    if as_json:
        print_json({name: rows})
        return
    table = Table(*columns)
    for row in rows:
        table.add_row(*(escape(_cell(column, row.get(column))) for column in columns))
    print_table(table)


_CELLS: dict[type, Callable[[Any], str]] = {
    list: lambda value: " ".join(map(str, value)),
    dict: lambda value: json.dumps(value),
}


def _cell(column: str, value: Any) -> str:
    if value is None:
        return ""
    if column in ("expires", "revoked", "created", "at", "said"):
        return _moment(value)
    return _CELLS.get(type(value), str)(value)


def _moment(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def done(as_json: bool, row: dict[str, Any], text: str) -> None:
    """Say what was done, or print it as JSON."""
    if as_json:
        print_json(row)
        return
    say(escape(text))


def _json(text: str, what: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise HedgerowError("ARGUMENTS_INVALID", f"{what} is no JSON: {error}") from None
    if not isinstance(value, dict):
        raise HedgerowError("ARGUMENTS_INVALID", f"{what} is no JSON object")
    return value


def _password() -> str:
    if sys.stdin.isatty():
        return getpass.getpass("password: ")
    return sys.stdin.readline().rstrip("\n")
