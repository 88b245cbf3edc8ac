"""Moving an app to another PostgreSQL: the rows (`store.relocation`) and what the rights say of it, in order.

The app is at its new place from the commit on by which it closes at the old one. Whoever sees that, the mover
or a node that starts, says it in the rights: so a mover may be killed anywhere.
"""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import psycopg

from hedgerow.errors import HedgerowError

from ..store import relocation
from .apps import App
from .places import Move, check, shown
from .registry import Registry

_SYSTEM = "system"


def settled(registry: Registry, app: App, store: str) -> str:
    """Return where an app lies, `store` if nothing is said of it; a move that is over is said to be.

    Raises STORE_FAILED.
    """
    here, move = registry.places.get(app) or store, registry.places.move(app)
    if move is None or relocation.departed(here, move.key) != move.token:
        return here
    _land(registry, _SYSTEM, app, move)
    return move.to


def _land(registry: Registry, actor: str, app: App, move: Move) -> None:
    relocation.land(move.to, move.key)
    registry.places.settle(actor, app, move)


def show_places(registry: Registry, store: str) -> list[dict[str, Any]]:
    """Return for every app where it lies, and whereto it moves; without passwords."""
    rows = []
    for app in registry.apps.all():
        move = registry.places.move(app)
        place = shown(registry.places.get(app) or store)
        rows.append({"app": app.name, "place": place, "moving_to": None if move is None else shown(move.to)})
    return rows


def place_app(
    registry: Registry, actor: str, name: str, store: str, to: str, lost: bool = False
) -> dict[str, Any]:
    """Say where an app lies of which nothing is stored yet, or nothing any more where it was, as after rights
    were put back to before a move. A `lost` place is asked nothing: it is gone, with any move from it.

    Raises PLACE_INVALID, STORE_FAILED.
    """
    check(to)
    app = registry.apps.get(name)
    if not lost:
        _check_empty(registry, app, store)
    registry.places.set(actor, app, to, lost)
    return {"app": app.name, "place": shown(to)}


def _check_empty(registry: Registry, app: App, store: str) -> None:
    here = settled(registry, app, store)
    key = _key_at(here, app)
    is_here = key is not None and relocation.departed(here, key) is None
    if is_here or registry.places.move(app) is not None:
        raise HedgerowError("PLACE_INVALID", f"{app.name} has data: move it")


def move_app(
    registry: Registry,
    actor: str,
    name: str,
    store: str,
    to: str,
    report: Callable[[str], None] = lambda stage: None,
) -> dict[str, Any]:
    """Move an app, or go on with a move to there that was interrupted. `left` is where the old copy is.

    Raises APP_UNKNOWN, PLACE_INVALID, STORE_FAILED, STORE_VERSION. The app goes on where it is then; if it
    has left already, the next call, or node that starts, finishes that.
    """
    check(to)
    app = registry.apps.get(name)
    here = settled(registry, app, store)
    if here == to:
        return {"app": app.name, "place": shown(to), "left": None}
    key = _key_at(here, app)
    if key is None:
        raise HedgerowError("PLACE_INVALID", f"{app.name} has no data: place it")
    move = registry.places.plan(app, to, key)
    with _carrier(here, move) as carrier:
        if _look_again(registry, app, store, here, to) == to:
            return {"app": app.name, "place": shown(to), "left": None}
        if registry.places.move(app) not in (None, move):
            raise HedgerowError("PLACE_INVALID", f"somebody else has begun to move {app.name}: try again")
        carrier.prepare()
        registry.places.begin(actor, app, move)
        carrier.copy(report)
        carrier.close_here(report)
    _land(registry, actor, app, move)
    return {"app": app.name, "place": shown(to), "left": shown(here)}


def _look_again(registry: Registry, app: App, store: str, here: str, to: str = "") -> str:
    """Return what settled() does, once nobody else moves the app: it is still `here`, or at `to`.

    Raises PLACE_INVALID, STORE_FAILED.
    """
    found = settled(registry, app, store)
    if found not in (here, to):
        raise HedgerowError("PLACE_INVALID", f"{app.name} has been moved to {shown(found)} meanwhile")
    return found


@contextlib.contextmanager
def _carrier(here: str, move: Move) -> Iterator[relocation.Relocation]:
    carrier = relocation.Relocation(move.key, here, move.to, move.token)
    try:
        carrier.begin()
        yield carrier
    except psycopg.Error as error:
        raise HedgerowError("STORE_FAILED", str(error).strip()) from error
    finally:
        carrier.close()


def abandon_move(registry: Registry, actor: str, name: str, store: str) -> dict[str, Any]:
    """Undo a move that was interrupted. `left` is where what has come stays, since that place is away.

    Raises PLACE_INVALID if there is none, or the app has left; STORE_FAILED.
    """
    app = registry.apps.get(name)
    here, move = settled(registry, app, store), registry.places.move(app)
    if move is None:
        raise HedgerowError("PLACE_INVALID", f"{app.name} is not moving")
    with _carrier(here, move) as carrier:
        _look_again(registry, app, store, here)
        if registry.places.move(app) != move:
            raise HedgerowError("PLACE_INVALID", f"{app.name} is not moving")
        carrier.undo()
        left = None
        try:
            if relocation.arriving(move.to, move.key) == move.token:
                relocation.purge(move.to, move.key)
        except HedgerowError:
            left = shown(move.to)
        registry.places.abandon(actor, app)
    return {"app": app.name, "place": shown(here), "left": left}


def purge_app(registry: Registry, actor: str, name: str, store: str, at: str) -> dict[str, Any]:
    """Remove the read-only copy that an app has left behind, or what had come by a move that was abandoned.

    Raises PLACE_INVALID, STORE_FAILED.
    """
    check(at)
    app = registry.apps.get(name)
    here = settled(registry, app, store)
    for key in (app.name, app.id):
        if relocation.departed(at, key) is not None or _is_abandoned(registry, app, here, at, key):
            relocation.purge(at, key)
            registry.audit.add(actor, "app.purge", app.id, at=shown(at))
            return {"app": app.name, "purged": shown(at)}
    raise HedgerowError("PLACE_INVALID", f"{app.name} has left nothing there")


def _is_abandoned(registry: Registry, app: App, here: str, at: str, key: str) -> bool:
    """Say whether a copy will never have arrived: no move brings it, and the app is open where it lies."""
    token, move = relocation.arriving(at, key), registry.places.move(app)
    if token is None or (move is not None and move.token == token):
        return False
    stored = _key_at(here, app)
    return stored is not None and relocation.is_open(here, stored)


def _key_at(url: str, app: App) -> str | None:
    """Return under which of an app's names nodes have stored it at a place, None for none."""
    known = [key for key in (app.name, app.id) if relocation.is_known(url, key)]
    if len(known) > 1:
        raise HedgerowError("PLACE_INVALID", f"{app.name} is stored there by its name and by its id")
    return known[0] if known else None
