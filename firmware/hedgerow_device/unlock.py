"""Opens a board's keys as its configuration says; given back once that is done."""

from hedgerow.mesh.tag import mesh_key

from . import vault
from .modules import unload


def open_keys(config: dict) -> object:
    """Return the board's Keyring, None for a board that has none, or is to use none."""
    security = config["security"]
    if security == "keys" or (security == "auto" and vault.read(vault.CREDENTIAL)):
        # Without a credential nothing of that comes near the heap, which loading and forgetting tears.
        from .keyring import Keyring

        keys = Keyring(mesh_key(config["mesh"]))
        unload("hedgerow.crypto.rotation")
        return keys
    unload("hedgerow_device.vault")
    return None


def give_keys(peer: object, keys: object, config: dict) -> None:
    """Let a peer speak and sign with keys, and go by those of confidential collections; a log of another
    author goes on under the one that they have.
    """
    if keys.moves:
        from hedgerow import closing

        closing.close(peer, peer.log.held(peer.author))
    peer.keys = peer.members = keys
    peer.greeter = keys.greet
    kept = vault.read(vault.COLLECTIONS)
    if kept or config.get("confidential"):
        from .confiding import begin, give

        give(peer, keys, kept)
        begin(peer)
        del begin, give
        unload("hedgerow_device.confiding")
