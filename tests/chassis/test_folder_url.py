"""A folder that outlives the machine's memory is named by path or URL."""

from __future__ import annotations

from pathlib import Path

import pytest

from ridehail_servers.chassis.folder_url import folder_url
from ridehail_servers.chassis.yt_url import YtUrl


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("/var/lib/archive", "file:///var/lib/archive"),
        ("/var/lib/with space/%41", "file:///var/lib/with%20space/%2541"),
        ("file:/var/lib/archive", "file:///var/lib/archive"),
        ("file:///var/lib/with%20space/", "file:///var/lib/with%20space"),
        ("file://localhost/var", "file:///var"),
        ("file:archive", f"{Path.cwd().as_uri()}/archive"),
        ("archive", f"{Path.cwd().as_uri()}/archive"),
        ("s3://bucket/folder/", "s3://bucket/folder"),
        ("gs://bucket", "gs://bucket"),
        ("yt://yt.example.com:8000/home/x?tls=off&pool=p", "yt://yt.example.com:8000/home/x?tls=off&pool=p"),
    ],
)
def test_a_folder_is_named_by_path_or_url(given: str, url: str) -> None:
    assert folder_url(given) == url


@pytest.mark.parametrize(
    "given",
    ["", " ", "file:", "file://", "file://elsewhere/x", "s3:", "s3://", "s3:///x", "s3://a b", "http://x/y",
     "memory://x", "nonsense:", "postgresql://x", "a\0b", "file:a\0b", "s3:/bucket/x"],
)  # fmt: skip
def test_an_archive_url_without_a_permanent_folder_is_refused(given: str) -> None:
    with pytest.raises(ValueError, match=r"needed|another machine"):
        folder_url(given)


def test_a_folder_of_a_cluster_is_reached_by_tls_unless_it_is_switched_off() -> None:
    assert YtUrl.parse("yt://yt.example.com/home/ridehail/") == YtUrl("https://yt.example.com", "//home/ridehail")
    options = "tls=off&hosts=off&token_file=/run/token&proxy_role=archive&pool=ridehail"
    assert YtUrl.parse(f"yt://yt:8000/home?{options}") == YtUrl(
        "http://yt:8000",
        "//home",
        asks_for_hosts=False,
        token_file=Path("/run/token"),
        proxy_role="archive",
        pool="ridehail",
    )


@pytest.mark.parametrize(
    "given",
    ["yt:", "yt://", "yt:///home", "yt://yt", "yt://yt/", "yt://yt//home", "yt://yt/home/@secret", "yt://yt/a b",
     "yt://yt/home/*", "yt://yt/home/[secret]", "yt://secret:secret@yt/home", "yt://yt/home#secret", "yt://yt:port/home",
     "yt://yt/home?token=secret", "yt://yt/home?secret=1", "yt://yt/home?tls=secret", "yt://yt/home?tls=off&tls=on",
     "yt://yt/home?pool=secret/", "yt://yt/home?hosts=", "yt://yt/ünï", "yt://yt/home\n"],
)  # fmt: skip
def test_a_wrong_url_of_a_cluster_is_refused_and_not_repeated(given: str) -> None:
    with pytest.raises(ValueError, match=r"needed|URL|takes|on or off") as refused:
        folder_url(given)
    assert "secret" not in str(refused.value)
