"""`ridehail toll-roads`: the retention jobs by hand, and what is known of an order."""

from __future__ import annotations

from typing import Annotated

import typer

from .options import (
    DEFAULT_DATA_DIR,
    ArchiveUrlOption,
    ConfigDirOption,
    DatabaseUrlOption,
    DataDirOption,
    DryRunOption,
    UsageError,
    archive_url,
    config_dir,
)

app = typer.Typer(
    name="toll-roads",
    help="Toll roads: purge and archive old rows, as the task worker does every hour; look an order up.",
    no_args_is_help=True,
)


def _batch_size(text: str) -> int:
    from ridehail_servers.toll_roads.config import MAX_BATCH_SIZE

    size = int(text) if text.isascii() and text.isdecimal() and len(text) <= len(str(MAX_BATCH_SIZE)) else 0
    if not 1 <= size <= MAX_BATCH_SIZE:
        raise UsageError(f"--batch-size takes a number from 1 to {MAX_BATCH_SIZE}, not {text!r}")
    return size


_BatchSizeOption = Annotated[
    int | None,
    typer.Option(
        "--batch-size",
        parser=_batch_size,
        metavar="ROWS",
        help="Rows of one transaction; default: batch_size of toll_roads.yaml.",
    ),
]


@app.command("purge-offers")
def purge_offers(
    database_url: DatabaseUrlOption = None,
    data_dir: DataDirOption = DEFAULT_DATA_DIR,
    config_dir_option: ConfigDirOption = None,
    batch_size: _BatchSizeOption = None,
    dry_run: DryRunOption = False,
) -> None:
    """Delete old offers (`offers_kept_h` in toll_roads.yaml; 24 hours)."""
    from . import toll_roads_jobs as jobs

    jobs.purge_offers(jobs.RetentionOptions(database_url, data_dir, config_dir(config_dir_option), batch_size, dry_run))


@app.command()
def archive(
    database_url: DatabaseUrlOption = None,
    archive_url_option: ArchiveUrlOption = None,
    data_dir: DataDirOption = DEFAULT_DATA_DIR,
    config_dir_option: ConfigDirOption = None,
    batch_size: _BatchSizeOption = None,
    dry_run: DryRunOption = False,
) -> None:
    """Copy old orders and changes of their road to the archive, each once (`archived_after_h`; 24 hours)."""
    url = archive_url(archive_url_option, data_dir)
    from . import toll_roads_jobs as jobs

    jobs.archive(jobs.RetentionOptions(database_url, data_dir, config_dir(config_dir_option), batch_size, dry_run), url)


@app.command("purge-orders")
def purge_orders(
    database_url: DatabaseUrlOption = None,
    data_dir: DataDirOption = DEFAULT_DATA_DIR,
    config_dir_option: ConfigDirOption = None,
    batch_size: _BatchSizeOption = None,
    dry_run: DryRunOption = False,
) -> None:
    """Delete old orders and changes that are in the archive, and old refused reports (`orders_kept_h`; 48 hours)."""
    from . import toll_roads_jobs as jobs

    jobs.purge_orders(jobs.RetentionOptions(database_url, data_dir, config_dir(config_dir_option), batch_size, dry_run))


@app.command()
def history(
    order_id: Annotated[str, typer.Argument(help="The order.", metavar="ORDER_ID")],
    database_url: DatabaseUrlOption = None,
    archive_url_option: ArchiveUrlOption = None,
    also_read: Annotated[
        list[str] | None,
        typer.Option(
            "--also-read",
            envvar="RIDEHAIL_ARCHIVE_ALSO_READ",
            metavar="URL",
            help="Archive from before a move, named as by --archive-url. May be repeated; in the variable, by spaces.",
        ),
    ] = None,
    data_dir: DataDirOption = DEFAULT_DATA_DIR,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Print all that database and archive know of an order, and where each row is."""
    moved_from = [archive_url(url, data_dir, option="--also-read") for url in also_read or ()]
    urls = [archive_url(archive_url_option, data_dir), *moved_from]
    from . import toll_roads_jobs as jobs

    jobs.print_history(order_id, database_url, data_dir, urls, as_json=as_json)
