"""Every example of the README and the docs is run as it is written, and answers what is written."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from ridehail_servers.runtime.data_dir import DataDir
from tests.support.command_line import ridehail, with_printed
from tests.support.error_catalogue import catalogue, samples
from tests.support.grpcurl import Grpcurl
from tests.support.up import RIDEHAIL, RunningCommand
from tests.support.waiting import LIMIT_S, eventually

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
# What the documents write, and the name of the address in the ready line.
ADDRESSES = {
    "127.0.0.1:50051": "grpc",
    "127.0.0.1:8080": "http",
    "127.0.0.1:8081": "internal_http",
    "127.0.0.1:9464": "metrics",
}
_TIME = re.compile(r"\d{4}-\d\d-\d\dT[0-9:.]+Z")
# How long it is to a rider's next slot.
_WAIT = re.compile(r'("next_poll_ms": ?)\d+')

pytestmark = pytest.mark.timeout(600)


@dataclass(frozen=True)
class Example:
    page: str
    language: str
    line: int
    text: str


def examples(language: str) -> list[Example]:
    found = []
    for page in PAGES:
        text = page.read_text()
        for block in re.finditer(rf"^```{language}\n(.*?)^```$", text, flags=re.M | re.S):
            line = text.count("\n", 0, block.start()) + 1
            found.append(Example(page.name, language, line, block[1]))
    return found


def name_of(example: Example) -> str:
    return f"{example.page}:{example.line}"


@pytest.fixture(scope="module")
def environment(demo_suite: RunningCommand, grpcurl_if_any: Grpcurl | None) -> dict[str, str]:
    """The newcomer's shell."""
    data_dir = str(demo_suite.data_dir)
    ticket = ridehail("ticket", "--src", "api-proxy", "--dst", "toll-roads", "--data-dir", data_dir).stdout.strip()
    session = ridehail("token", "--uid", "4000000001", "--data-dir", data_dir).stdout.strip()
    family_ticket = ridehail("ticket", "--src", "admin", "--dst", "family", "--data-dir", data_dir).stdout.strip()
    path = os.environ["PATH"]
    if grpcurl_if_any is not None:
        path = f"{grpcurl_if_any.program.parent}{os.pathsep}{path}"
    credentials = {"RIDEHAIL_TICKET": ticket, "RIDEHAIL_FAMILY_TICKET": family_ticket, "RIDEHAIL_SESSION": session}
    return {**os.environ, "RIDEHAIL_DATA_DIR": data_dir, **credentials, "PATH": path}


def placed(text: str, suite: RunningCommand) -> str:
    """Returns the text with the addresses of this suite."""
    for written, name in ADDRESSES.items():
        text = text.replace(written, suite.ready[name])
    return text.replace(".venv/bin/ridehail", str(RIDEHAIL))


def comparable(answer: str) -> object:
    """Returns what must be equal in every run: times differ, and the order of JSON's keys does not matter."""
    timeless = _WAIT.sub(r"\g<1>0", _TIME.sub("<time>", answer)).strip()
    try:
        return json.loads(timeless)
    except json.JSONDecodeError:
        return timeless


@pytest.mark.parametrize("example", examples("console"), ids=name_of)
def test_a_command_prints_what_the_page_shows(
    example: Example,
    demo_suite: RunningCommand,
    environment: dict[str, str],
    grpcurl_if_any: Grpcurl | None,
) -> None:
    for step in re.split(r"^\$ ", example.text, flags=re.M)[1:]:
        command, _, promised = step.partition("\n")
        if command.startswith("grpcurl") and grpcurl_if_any is None:
            pytest.skip("grpcurl is built from source, and Go is not on this machine")

        text = placed(command, demo_suite)
        # Those of the README as they are; elsewhere a process for each ticket would prove no more.
        text = text if example.page == "README.md" else with_printed(text, environment)

        def answers(command: str = text, promised: str = promised) -> bool:
            ended = subprocess.run(
                ["bash", "-c", command],
                capture_output=True,
                text=True,
                timeout=LIMIT_S,
                env=environment,
                check=False,
            )
            if ended.returncode == 0 and comparable(ended.stdout) == comparable(promised):
                return True
            raise AssertionError(f"{command}\nanswered\n{ended.stdout}{ended.stderr}\ninstead of\n{promised}")

        # The demo's order is saved by a background task, which may still be at it.
        assert eventually(answers, unless=AssertionError)


@pytest.mark.parametrize("example", examples("python"), ids=name_of)
def test_a_program_prints_what_the_page_shows(
    example: Example, demo_suite: RunningCommand, environment: dict[str, str]
) -> None:
    def runs() -> bool:
        ended = subprocess.run(
            [sys.executable, "-c", placed(example.text, demo_suite)],
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            env=environment,
            check=False,
        )
        promised = re.findall(r"# -> (.*)$", example.text, re.M)
        assert promised, "an example says what it prints"
        assert (ended.stdout.splitlines(), ended.returncode) == (promised, 0), ended.stderr
        return True

    assert eventually(runs, unless=AssertionError)


def test_every_printed_demo_command_works(
    demo_suite: RunningCommand, environment: dict[str, str], grpcurl_if_any: Grpcurl | None
) -> None:
    commands = [line for line in demo_suite.output.read_text().splitlines() if line.startswith(("curl", "grpcurl"))]
    assert len(commands) >= 5
    runnable = [command for command in commands if grpcurl_if_any is not None or not command.startswith("grpcurl")]
    as_printed: set[str] = set()
    for command in runnable:
        program = command.split()[0]
        text = with_printed(command, environment) if program in as_printed else command
        as_printed.add(program)
        ended = subprocess.run(
            ["bash", "-c", text], capture_output=True, text=True, timeout=LIMIT_S, env=environment, check=False
        )
        assert ended.returncode == 0, f"{command}\n{ended.stderr}"
        assert "code" not in json.loads(ended.stdout), f"{command}\n{ended.stdout}"


def test_every_link_leads_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#]+)", page.read_text()):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_sample_of_each_reason_has_the_metadata_that_the_catalogue_promises() -> None:
    promised = {reason: ("ridehail", set(entry.metadata_keys)) for reason, entry in catalogue().items()}
    assert {reason: (one["domain"], set(one["metadata"])) for reason, one in samples().items()} == promised
    assert all(one["reason"] == reason for reason, one in samples().items())


def test_the_configuration_page_names_every_file() -> None:
    text = (ROOT / "docs/configuration.md").read_text()
    for file in (ROOT / "config").iterdir():
        assert f"`{file.name}`" in text


def test_a_data_directory_is_what_its_page_says(demo_suite: RunningCommand) -> None:
    data = DataDir(demo_suite.data_dir)
    for folder in (data.postgres, data.keys, data.logs, data.run):
        assert folder.is_dir()
