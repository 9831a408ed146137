"""Every process has one whole catalogue, follows its changes, and keeps the last one without a database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from prometheus_client import REGISTRY

from ridehail_servers.chassis.database import Connection, Database
from ridehail_servers.chassis.errors import DatabaseUnavailable
from ridehail_servers.chassis.settings import PoolSettings
from ridehail_servers.eulas.admin.agreement_admin import AgreementAdmin
from ridehail_servers.eulas.admin.agreement_rules import Agreement
from ridehail_servers.eulas.admin.eula_change import Author
from ridehail_servers.eulas.admin.resign_store import ResignStore
from ridehail_servers.eulas.admin.store import AdminStore
from ridehail_servers.eulas.catalogue_source import CatalogueSource
from ridehail_servers.eulas.catalogue_store import CatalogueStore
from ridehail_servers.eulas.config import EulasConfig
from ridehail_servers.eulas.eula_catalogue import Eula
from tests.eulas.harness import EULAS, ZONES
from tests.support.databases import empty_tables, opened_as
from tests.support.log_capture import LogCapture
from tests.support.tcp_proxy import Mode, postgres_target, tcp_proxy, through
from tests.support.waiting import until

AUTHOR = Author("admin", "anna")


def configured(source: str, **changes: Any) -> EulasConfig:
    content = {"EULAS_SOURCE": source, "ZONES": ZONES, "EULAS": EULAS, **changes}
    return EulasConfig.model_validate(content)


DATABASE = configured("database")


def now() -> datetime:
    return datetime.now(UTC)


async def _no_task(_connection: Connection, _version: int) -> None:
    """Nobody signed anything here."""


class Catalogue:
    """A process' catalogue that a test follows."""

    def __init__(self, config: EulasConfig = DATABASE) -> None:
        self.config = config
        self.source = CatalogueSource(lambda: self.config, CatalogueStore(), now)

    @property
    def titles(self) -> list[str]:
        return [eula.title["en"] for eula in self.source.current().eulas]

    @asynccontextmanager
    async def following(self, database: Database) -> AsyncIterator[None]:
        task = asyncio.create_task(self.source.run(database))
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def has(self, *titles: str) -> Callable[[], bool]:
        def check() -> bool:
            try:
                return self.titles == list(titles)
            except DatabaseUnavailable:
                return False

        return check


class Admin:
    """Changes agreements from another process' point of view."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.admin = AgreementAdmin(
            database, agreements=AdminStore(), runs=ResignStore(), enqueue=_no_task, is_in_force=lambda: True, clock=now
        )

    async def put(self, *titles: str) -> None:
        """Makes agreements `a`, `b`, ... have titles, all in one change."""
        eulas = [self.eula(eula_id, title) for eula_id, title in zip("abcdefgh", titles, strict=False)]
        await self.admin.import_file(eulas, ["en"], AUTHOR, dry_run=False)

    @staticmethod
    def eula(eula_id: str, title: str) -> Eula:
        return Eula(eula_id=eula_id, type="t", revision=1, ttl_s=60, rejectable=True, title={"en": title})


@pytest.fixture
async def database(module_database_url: str) -> AsyncIterator[Database]:
    with psycopg.connect(module_database_url, autocommit=True) as connection:
        empty_tables(connection)
    async with opened_as(Database, module_database_url, "eulas") as database:
        yield database


@pytest.fixture
def admin(database: Database) -> Admin:
    return Admin(database)


async def test_a_process_follows_changes(database: Database, admin: Admin) -> None:
    await admin.put("one")
    catalogue = Catalogue()
    async with catalogue.following(database):
        await until(catalogue.has("one"))
        for title in ("two", "three"):
            await admin.put(title, "more")
            await until(catalogue.has(title, "more"))
    assert catalogue.source.current().version == 4


async def test_a_change_is_seen_within_a_second_without_notifications(
    database: Database, admin: Admin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As behind a pooler that gives the connection to others: the poll finds it."""

    async def lost(_store: AdminStore, _connection: Connection) -> None:
        """Notifies nobody."""

    monkeypatch.setattr(AdminStore, "notify", lost)
    await admin.put("one")
    catalogue = Catalogue()
    async with catalogue.following(database):
        await until(catalogue.has("one"))
        await admin.put("two")
        await until(catalogue.has("two"))


async def test_no_process_has_half_of_a_change(database: Database, admin: Admin) -> None:
    """Each change gives both agreements the same title; so do all that a process ever has."""
    await admin.put("0", "0")
    catalogues = [Catalogue() for _ in range(3)]
    seen: list[set[tuple[str, ...]]] = [set() for _ in catalogues]

    async def watch(number: int) -> None:
        while True:
            await catalogues[number].source.load_first(database)
            seen[number].add(tuple(catalogues[number].titles))
            await asyncio.sleep(0)

    watchers = [asyncio.create_task(watch(number)) for number in range(len(catalogues))]
    for number in range(1, 20):
        await admin.put(str(number), str(number))
    last = ("19", "19")
    await until(lambda: all(last in one for one in seen))
    for watcher in watchers:
        watcher.cancel()
    await asyncio.gather(*watchers, return_exceptions=True)
    assert {titles for one in seen for titles in one} <= {(str(number), str(number)) for number in range(20)}


@pytest.mark.parametrize("mode", [Mode.REFUSE, Mode.RESET, Mode.HANG], ids=lambda mode: mode.name)
async def test_without_a_database_the_last_catalogue_stays_and_the_next_comes_with_it(
    module_database_url: str, admin: Admin, log: LogCapture, mode: Mode
) -> None:
    await admin.put("one")
    quick = PoolSettings(statement_timeout_ms=100)
    with tcp_proxy(postgres_target(module_database_url)) as proxy:
        async with opened_as(Database, through(proxy, module_database_url), "eulas", quick) as remote:
            catalogue = Catalogue()
            async with catalogue.following(remote):
                await until(catalogue.has("one"))
                await asyncio.to_thread(proxy.set, mode)
                await until(lambda: log.events("lost the connection that listens"))
                await admin.put("two")
                assert catalogue.titles == ["one"]
                await asyncio.to_thread(proxy.set, Mode.PASS)
                await until(catalogue.has("two"))


async def test_a_process_that_never_saw_the_database_has_no_catalogue(database: Database) -> None:
    catalogue = Catalogue()
    with pytest.raises(DatabaseUnavailable):
        catalogue.source.current()
    await catalogue.source.load_first(database)
    assert catalogue.source.current() is DATABASE.catalogue, "nothing was imported: the file stays in force"


async def test_the_setting_says_whose_agreements_are_in_force(database: Database, admin: Admin) -> None:
    await admin.put("of the database")
    file = configured("file")
    catalogue = Catalogue(file)
    async with catalogue.following(database):
        assert catalogue.source.current() is file.catalogue
        catalogue.config = DATABASE
        assert catalogue.source.current() is file.catalogue, "no call fails while the database is read"
        await until(catalogue.has("of the database"))
        catalogue.config = file
        assert catalogue.source.current() is file.catalogue
        assert catalogue.source.current().version is None


async def test_zones_of_the_file_count_for_agreements_of_the_database(database: Database, admin: Admin) -> None:
    abroad = admin.eula("a", "one").model_copy(update={"countries": ("isr",)})
    await admin.admin.create(Agreement(abroad, 0), AUTHOR)
    catalogue = Catalogue()
    await catalogue.source.load_first(database)
    assert catalogue.source.current().applies_in(abroad, "haifa")
    catalogue.config = configured("database", ZONES={**ZONES, "haifa": "rus"})
    assert not catalogue.source.current().applies_in(abroad, "haifa")


async def test_what_breaks_a_rule_is_refused_as_a_whole_and_reported_once(
    database: Database, admin: Admin, log: LogCapture
) -> None:
    def refused() -> float | None:
        return REGISTRY.get_sample_value("ridehail_eulas_catalogue_refused")

    await admin.put("one", "two")
    catalogue = Catalogue()
    await catalogue.source.load_first(database)
    async with database.connection() as connection:
        await connection.execute(
            "UPDATE eulas.agreements SET content = jsonb_set(content, '{ttl_s}', '-1') WHERE eula_id = 'b'"
        )
        await connection.execute(
            """
            INSERT INTO eulas.agreement_changes
            SELECT 7, eula_id, kind, position, content, version, false, source, actor, now() FROM eulas.agreements
            WHERE eula_id = 'b'
            """
        )
        for _ in range(3):
            await catalogue.source.look(connection)
        assert catalogue.titles == ["one", "two"]
        assert refused() == 1
        (line,) = log.events("agreements of the database refused")
        assert (line["version"], line["key"]) == (7, "ttl_s")
        await connection.execute(
            "UPDATE eulas.agreements SET content = jsonb_set(content, '{ttl_s}', '1') WHERE eula_id = 'b'"
        )
        await catalogue.source.look(connection)
    assert (refused(), catalogue.source.current().version) == (0, 7)
