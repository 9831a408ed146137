"""What `order_state.yaml` must hold, and the file of secrets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from ridehail_servers import resources, suite
from ridehail_servers.chassis.config import ConfigError, load
from ridehail_servers.chassis.keys import KeysMissing, read_secrets
from ridehail_servers.order_state.config import OrderStateConfig
from ridehail_servers.order_state.poll_tokens import KEYS_FILE
from ridehail_servers.runtime.data_dir import DataDir, write_secret
from tests.order_state.harness import CONFIG, POLICY, Harness, Rider, allowed, known
from tests.support.config_edits import edit
from tests.support.waiting import until

PART = POLICY[0]


def test_the_shipped_file_is_good() -> None:
    config = load(resources.folder("config") / "order_state.yaml", OrderStateConfig)
    assert dict(config.max_active_orders) == {"taxi": 3, "eats": 1, "grocery": 1}
    assert list(config.policy.part_names("taxi")) == ["route", "fast_info", "part2"]


def test_an_empty_file_has_no_limits_and_no_policy(tmp_path: Path) -> None:
    (tmp_path / "order_state.yaml").write_text("")
    config = load(tmp_path / "order_state.yaml", OrderStateConfig)
    assert (config.max_active_orders, config.polling_policy, config.retry_interval_s) == ({}, (), 5)


BAD: list[tuple[dict[str, Any], str]] = [
    ({"max_active_orders": {"laundry": 1}}, "max_active_orders"),
    ({"max_active_orders": {"taxi": -1}}, "max_active_orders.taxi"),
    ({"max_active_orders": {"taxi": "3"}}, "max_active_orders.taxi"),
    ({"retry_interval_s": 0}, "retry_interval_s"),
    ({"retry_interval_s": 0.5}, "retry_interval_s"),
    ({"retry_interval_s": 60, "tag_ttl_s": 59}, "tag_ttl_s"),
    ({"provider_timeout_ms": 1_001}, "provider_timeout_ms"),
    ({"provider_timeout_ms": True}, "provider_timeout_ms"),
    ({"kept_finished_h": 0}, "kept_finished_h"),
    ({"kept_finished_h": 721}, "kept_h"),
    ({"polling": []}, "polling"),
    ({"polling_interval_s": 0}, "polling_interval_s"),
    ({"polling_interval_s": 9.5}, "polling_interval_s"),
    ({"polling_interval_s": 61}, "polling_longest_pause_s"),
    ({"reporters": {"admin": ["laundry"]}}, "reporters.admin"),
    ({"foreign_reports": "allow"}, "foreign_reports"),
    ({"invalid_parts": {"samples_per_part": 0}}, "invalid_parts.samples_per_part"),
    ({"invalid_parts": {"kept_days": 367}}, "invalid_parts.kept_days"),
    ({"invalid_parts": {"names": ["7 9161234567"]}}, "invalid_parts.names"),
    ({"polling_policy": [PART, {**PART, "url": "/x"}]}, "polling_policy.1.part_name"),
    ({"polling_policy": [{**PART, "service": "laundry"}]}, "polling_policy.0.service"),
    ({"polling_policy": [{**PART, "part_name": ""}]}, "polling_policy.0.part_name"),
    ({"polling_policy": [{**PART, "part_name": "a\nb"}]}, "polling_policy.0.part_name"),
    ({"polling_policy": [{**PART, "url": "no path"}]}, "polling_policy.0.url"),
    ({"polling_policy": [{**PART, "priority": "1"}]}, "polling_policy.0.priority"),
    ({"polling_policy": [{**PART, "priority": 2**31}]}, "polling_policy.0.priority"),
    ({"polling_policy": [{**PART, "required": "yes"}]}, "polling_policy.0.required"),
    ({"polling_policy": [{**PART, "colour": "red"}]}, "polling_policy.0.colour"),
    ({"polling_policy": [{key: value for key, value in PART.items() if key != "url"}]}, "polling_policy.0.url"),
]


@pytest.mark.parametrize(("change", "key"), BAD)
def test_a_bad_file_is_refused_by_key(tmp_path: Path, change: dict[str, Any], key: str) -> None:
    file = tmp_path / "order_state.yaml"
    file.write_text(yaml.safe_dump(CONFIG | change))
    with pytest.raises(ConfigError) as refused:
        load(file, OrderStateConfig)
    assert refused.value.key.startswith(key)


async def test_an_edit_takes_effect_while_the_server_runs(harness: Harness, rider: Rider) -> None:
    edit(harness.suite.settings.config_dir / "order_state.yaml", {"max_active_orders": {"grocery": 0}})

    async def is_in_force() -> bool:
        return allowed(await rider.poll(known("1"))) == {"taxi": True, "eats": True, "grocery": "too_many_orders"}

    await until(is_in_force)


# --- the secrets


def test_up_makes_a_secret_once_that_nobody_else_may_read(tmp_path: Path) -> None:
    data = DataDir(tmp_path)
    data.ensure_keys(suite.ticket_sources(resources.folder("config")))
    file = data.keys / KEYS_FILE
    (secret,) = read_secrets(file)
    assert file.stat().st_mode & 0o777 == 0o600
    data.ensure_keys(suite.ticket_sources(resources.folder("config")))
    assert read_secrets(file) == [secret]


@pytest.mark.parametrize("content", [None, b"", b"\n \n", b"short\n", b"x" * 16 + b"\nshort", b"\xff" * 32])
def test_a_file_without_good_secrets_stops_the_start(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / KEYS_FILE).write_bytes(content)
        (tmp_path / KEYS_FILE).chmod(0o600)
    with pytest.raises(KeysMissing, match=KEYS_FILE):
        read_secrets(tmp_path / KEYS_FILE)


def test_secrets_that_others_can_read_stop_the_start(tmp_path: Path) -> None:
    write_secret(tmp_path / KEYS_FILE, "a" * 16)
    (tmp_path / KEYS_FILE).chmod(0o644)
    with pytest.raises(KeysMissing, match=r"can be read by others \(mode 0644\): chmod 600"):
        read_secrets(tmp_path / KEYS_FILE)


def test_secrets_are_lines_and_blank_ones_do_not_count(tmp_path: Path) -> None:
    write_secret(tmp_path / KEYS_FILE, f"{'a' * 16}\n\n  {'b' * 16}\n")
    assert read_secrets(tmp_path / KEYS_FILE) == ["a" * 16, "b" * 16]
