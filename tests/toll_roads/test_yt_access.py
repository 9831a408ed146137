"""How the archive reaches a YTsaurus cluster: by TLS, with a token, and with nothing private in logs or in it."""

from __future__ import annotations

import ssl
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from ridehail_servers.toll_roads.retention.archive import ArchiveFailed
from ridehail_servers.toll_roads.retention.rows import ArchivedTable
from ridehail_servers.toll_roads.retention.yt_archive import YtArchiveTable
from tests.support.certificates import Authority
from tests.support.log_capture import captured_logs
from tests.support.yt_cluster import YtCluster
from tests.support.yt_proxy import yt_proxies
from tests.toll_roads.yt_harness import QUICK, YtHarness, changes

SECRET = "AQAD-token-4711"
IMPATIENT = replace(QUICK, request_s=0.2, table_s=0.2, total_s=0.2)


def test_a_cluster_is_reached_by_tls_with_the_authority_of_its_own(
    sockets: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificates, cluster = Authority(tmp_path).folder("yt", "127.0.0.1"), YtCluster()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates / "cert.pem", certificates / "key.pem")
    with yt_proxies(cluster, context) as address:
        url = f"yt://{address}/home/ridehail"
        with pytest.raises(ArchiveFailed, match="certificate verify failed"):
            YtArchiveTable(url, ArchivedTable.LOG, timeouts=IMPATIENT).last_batch()
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificates / "ca.pem"))
        table = YtArchiveTable(url, ArchivedTable.LOG, timeouts=QUICK)
        assert table.last_batch() == 0
        table.write(1, changes("order"))
        assert table.rows_of("order") == changes("order")


@pytest.mark.parametrize("source", ["file", "YT_TOKEN", "YT_TOKEN_PATH"])
def test_the_token_comes_from_a_file_or_the_environment(
    yt: YtHarness, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    yt.cluster.token = SECRET
    (tmp_path / "token").write_text(f"{SECRET}\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    value = {"file": "wrong", "YT_TOKEN": SECRET, "YT_TOKEN_PATH": str(tmp_path / "token")}[source]
    monkeypatch.setenv("YT_TOKEN" if source == "file" else source, value)
    assert yt.table(options=f"&token_file={tmp_path}/token" if source == "file" else "").last_batch() == 0


def test_neither_token_nor_command_line_nor_rows_get_out(
    yt: YtHarness, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "token").write_text(SECRET)
    monkeypatch.setattr(sys, "argv", ["ridehail", "--database-url", "postgresql://ridehail:hunter2@db/x"])
    table, told = yt.table(options=f"&token_file={tmp_path}/token"), list[str]()
    with captured_logs(level="DEBUG") as log:
        table.last_batch()
        for kind in ("unavailable", "cut", "lost"):
            yt.fault("*", kind, skip=3)
            table.write(1, changes("order-canary"))
            table.rows_of("order-canary")
        for broken in ("write_table", "commit_transaction"):
            yt.fault(broken, "failed", times=999)
            with pytest.raises(ArchiveFailed) as failed:
                yt.table(options=f"&token_file={tmp_path}/token", timeouts=replace(IMPATIENT, total_s=2)).write(
                    2, changes("order-canary")
                )
            told.append(str(failed.value))
            yt.cluster.faults.clear()
        yt.cluster.token = "another"
        with pytest.raises(ArchiveFailed) as failed:
            table.last_batch()
        told.append(str(failed.value))
    assert "authenticate" in told[-1]
    assert log.events("the archive failed, trying again")
    for text in (log.text, *told):
        assert SECRET not in text
        assert "order-canary" not in text
    assert "hunter2" not in f"{yt.cluster.requests}{log.text}"


def test_a_token_file_that_cannot_be_read_is_named(yt: YtHarness, tmp_path: Path) -> None:
    with pytest.raises(ArchiveFailed, match=r"the token file /.*/nowhere of the archive cannot be read"):
        yt.table(options=f"&token_file={tmp_path}/nowhere").last_batch()
