"""Writes what docs/scaling.md and deploy/citus have of the schemas: `make docs-scaling`."""

from __future__ import annotations

import psycopg
from psycopg import conninfo

from tests.scaling.page import written
from tests.support.folders import shared_folder
from tests.support.shared_postgres import TEMPLATE, SharedPostgres


def main() -> None:
    with shared_folder() as folder:
        postgres = SharedPostgres(folder)
        try:
            with psycopg.connect(conninfo.make_conninfo(postgres.url(), dbname=TEMPLATE)) as connection:
                for path, text in written(connection).items():
                    path.write_text(text)
        finally:
            postgres.stop()


if __name__ == "__main__":
    main()
