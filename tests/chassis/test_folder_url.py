"""A folder that outlives the machine's memory is named by path or URL."""

from __future__ import annotations

from pathlib import Path

import pytest

from ridehail_servers.chassis.folder_url import folder_url


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
