"""All that is set and remembered about who may do what, for a server and for the command line alike."""

from pathlib import Path

from .accounts import Accounts
from .api_keys import ApiKeys
from .apps import App, Apps
from .audit import Audit
from .confidential import Confidential
from .forks import Forks
from .groups import Groups
from .issuers import Issuers
from .ledger import Ledger
from .opening import open_database
from .places import Places
from .proof import Challenger
from .providers import Providers
from .revocation import Revocations

#: The provider of a new playground, by the name that Ditto's peers say.
PLAYGROUND_PROVIDER = "__playgroundProvider"


class Registry:
    """The parts over one database: see there. Opening makes it if need be; `close` at the end."""

    def __init__(
        self, directory: Path, url: str = "", key: Path | None = None, *, take_over: bool = False
    ) -> None:
        self.database = open_database(directory, url, key, take_over=take_over)
        self.audit = Audit(self.database)
        self.apps = Apps(self.database, self.audit)
        self.issuers = Issuers(self.database, self.audit)
        self.keys = ApiKeys(self.database, self.audit)
        self.providers = Providers(self.database, self.audit)
        self.accounts = Accounts(self.database, self.audit)
        self.ledger = Ledger(self.database)
        self.groups = Groups(self.database, self.audit, self.issuers)
        self.confidential = Confidential(self.database, self.audit)
        self.revocations = Revocations(
            self.database, self.audit, self.issuers, self.groups, self.confidential
        )
        self.places = Places(self.database, self.audit)
        self.forks = Forks(self.database, self.audit, self.issuers)
        self.challenger = Challenger(self.database)

    def create_app(self, actor: str, name: str, mode: str, mesh: str) -> App:
        """Make an app with its issuer, and a playground's way in. Raises APP_INVALID."""
        with self.database.change():
            app = self.apps.create(actor, name, mode, mesh)
            self.issuers.ensure(app)
            if app.is_playground:
                self.providers.set(actor, app, PLAYGROUND_PROVIDER, {"type": "anonymous"})
        return app

    def ensure_app(self, name: str, mesh: str) -> App:
        """Return the app of this name; it is made, a playground, if there is none."""
        with self.database.change():
            for app in self.apps.all():
                if name in (app.name, app.id):
                    return app
            return self.create_app("system", name, "playground", mesh)

    def close(self) -> None:
        """Close the file."""
        self.database.close()
