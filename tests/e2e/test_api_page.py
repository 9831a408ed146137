"""The page at `/docs` in a real browser: an app's developer makes a first call, and nothing keeps a reader out.

`make docs-api` runs it, with Chromium of Debian and axe-core of npm, and keeps the pictures in docs/.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.command_line import ridehail
from tests.support.up import RunningCommand

CHROMIUM = shutil.which("chromium")
AXE = os.environ.get("RIDEHAIL_AXE", "")
PICTURES = os.environ.get("RIDEHAIL_PICTURES", "")
SIZES = {"desktop": (1280, 900), "phone": (390, 844)}
KEPT = {"api-desktop-light-call", "api-desktop-dark", "api-phone-light", "api-phone-dark-call"}
CALL = "tag/eulas/POST/4.0/eulas/v1/list"
WAIT_MS = 60_000
pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(CHROMIUM is None or not AXE, reason="needs chromium and axe-core: run `make docs-api`"),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="not installed: `make docs-api` does it")
    with playwright.sync_playwright() as started:
        # Chromium has no sandbox of its own for root.
        opened = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.mark.parametrize("colours", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_a_developer_reads_and_makes_a_call(
    browser: Any, demo_suite: RunningCommand, size: str, colours: str, tmp_path: Path
) -> None:
    address = f"http://{demo_suite.ready['http']}"
    width, height = SIZES[size]
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=colours)
    context.set_default_timeout(WAIT_MS)
    page = context.new_page()
    requested: list[str] = []
    troubles: list[str] = []
    page.on("request", lambda request: requested.append(request.url))
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on("console", lambda message: troubles.extend([message.text] * (message.type == "error")))

    page.goto(f"{address}/docs#{CALL}")
    heading = page.get_by_role("heading", name="List eulas", exact=True)
    heading.wait_for()
    heading.scroll_into_view_if_needed()
    assert page.evaluate("document.documentElement.scrollWidth") == width
    keep(page, f"api-{size}-{colours}", tmp_path)
    assert serious(page) == []

    page.get_by_role("button", name="Test Request (post /4.0/eulas/v1/list)").first.click()
    token = ridehail("token", "--uid", "4000000001", "--data-dir", str(demo_suite.data_dir)).stdout.strip()
    dialog = page.get_by_role("dialog")
    dialog.get_by_placeholder("Token").fill(token)
    with page.expect_response(lambda response: response.url == f"{address}/4.0/eulas/v1/list") as answered:
        dialog.get_by_role("button", name=re.compile("^Send")).locator("visible=true").first.click()
    assert answered.value.status == 200
    assert [one["status"] for one in json.loads(answered.value.body())["eulas"]][:1] == ["unknown"]
    dialog.get_by_text("200").first.wait_for()
    keep(page, f"api-{size}-{colours}-call", tmp_path)
    assert serious(page) == []
    elsewhere = [one for one in requested if not one.startswith((address, "data:"))]
    assert (elsewhere, troubles) == ([], [])
    context.close()


def serious(page: Any) -> list[str]:
    """Returns what axe-core finds that keeps people out."""
    found = page.evaluate(f"{Path(AXE).read_text()}; axe.run()")
    return [
        f"{one['id']}: {one['nodes'][0]['html'][:200]}"
        for one in found["violations"]
        if one["impact"] in {"serious", "critical"}
    ]


def keep(page: Any, name: str, folder: Path) -> None:
    page.screenshot(path=str(Path(PICTURES if PICTURES and name in KEPT else folder, f"{name}.png")))
