"""Which agreements are in force in this process: those of the configuration file, or those of the database.

A process holds one whole catalogue at a time, and goes to the next by one assignment. That of the database is followed
beside the calls, which read what is in memory. While the database is away the last catalogue stays in force.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from pydantic import ValidationError

from ridehail_servers.chassis.change_listener import follow
from ridehail_servers.chassis.clock import Clock
from ridehail_servers.chassis.database import Connection, Database
from ridehail_servers.chassis.errors import DatabaseUnavailable
from ridehail_servers.chassis.logs import get_logger

from .catalogue_store import CHANNEL, CatalogueStore, StoredCatalogue
from .config import EulasConfig, EulasSource
from .eula_catalogue import Eula, EulaCatalogue
from .metrics import CATALOGUE_CONFIRMED, CATALOGUE_REFUSED, CATALOGUE_VERSION, TEXTS_MISSING
from .served_locales import missing_texts

logger = get_logger(__name__)

# How often a process whose file is in force looks whether it still is.
_LOOK_EVERY_S = 0.25


class CatalogueSource:
    """The agreements in force, as this process knows them."""

    def __init__(self, config: Callable[[], EulasConfig], store: CatalogueStore, clock: Clock) -> None:
        self._config = config
        self._store = store
        self._clock = clock
        self._stored: tuple[Eula, ...] = ()
        self._version: int | None = None  # of `_stored`; None: nothing has been read yet
        self._refused: StoredCatalogue | None = None
        self._built: tuple[EulasConfig, EulaCatalogue] | None = None

    def current(self) -> EulaCatalogue:
        """Returns the catalogue in force. Read it once a request: the next read may differ.

        A table that nothing was ever imported into is not in force: the file is.

        Raises:
            DatabaseUnavailable: That of the database is in force, and could not be read since the process started.
        """
        config = self._config()
        built = self._built
        if built is not None and built[0] is config:
            return built[1]
        return self._build(config)

    async def look(self, connection: Connection) -> None:
        """Takes the catalogue of the database over if it has changed.

        One that breaks the rules of agreements, which only an edit by hand can have made, is refused as a whole.
        """
        if self._version is None or await self._store.version(connection) != self._version:
            stored = await self._store.load(connection)
            try:
                eulas = tuple([Eula.model_validate(entry) for entry in stored.entries])
            except ValidationError as error:
                self._refuse(stored, error)
            else:
                self._refused = None
                self._stored, self._version, self._built = eulas, stored.version, None
                logger.info("agreements changed", version=stored.version, agreements=len(eulas))
        CATALOGUE_REFUSED.set(0 if self._refused is None else 1)
        self._confirm()

    async def load_first(self, database: Database) -> None:
        """Reads the catalogue of the database if that is in force; raises `DatabaseUnavailable` if it is away."""
        if self._is_database():
            async with database.connection() as connection:
                await self.look(connection)

    async def run(self, database: Database) -> None:
        """Keeps the catalogue up to date, until cancelled."""
        CATALOGUE_REFUSED.set(0)
        while True:
            await follow(database, CHANNEL, self.look, as_long_as=self._is_database)
            self._confirm()
            await asyncio.sleep(_LOOK_EVERY_S)

    def _is_database(self) -> bool:
        return self._config().source is EulasSource.DATABASE

    def _build(self, config: EulasConfig) -> EulaCatalogue:
        catalogue = config.catalogue
        if config.source is EulasSource.DATABASE:
            if self._version is None:
                if self._built is None:
                    raise DatabaseUnavailable
                # The setting has just changed: what was in force stays until the database has been read.
                return self._built[1]
            if self._version:
                catalogue = EulaCatalogue(self._stored, config.zones, self._version)
        self._built = (config, catalogue)
        return catalogue

    def _refuse(self, stored: StoredCatalogue, error: ValidationError) -> None:
        if stored == self._refused:
            return  # it has been reported
        self._refused = stored
        first = error.errors(include_url=False, include_input=False)[0]
        key = ".".join(map(str, first["loc"]))
        logger.error("agreements of the database refused", version=stored.version, key=key, reason=first["msg"])

    def _confirm(self) -> None:
        CATALOGUE_CONFIRMED.set(self._clock().timestamp())
        try:
            catalogue = self.current()
        except DatabaseUnavailable:
            return
        CATALOGUE_VERSION.set(catalogue.version or 0)
        locales = self._config().locales
        TEXTS_MISSING.set(sum(1 for eula in catalogue.eulas for _missing in missing_texts(eula, locales)))
