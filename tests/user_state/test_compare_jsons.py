"""What CompareJsons answers, counts and keeps, and that no value of a user's is in any of it."""

from __future__ import annotations

import asyncio
import json
import os
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.struct_pb2 import Value
from prometheus_client import REGISTRY, generate_latest

from ridehail.userstate.v1 import user_state_api_pb2 as api
from ridehail_clients import ComparedKind
from ridehail_kernel.json_values import to_value
from ridehail_servers.user_state.metrics import OTHER, PathLabels
from tests.support.config_edits import edit
from tests.support.harness import behind_a_gateway
from tests.support.log_capture import LogCapture
from tests.support.suite_in_process import suite_in_process
from tests.support.waiting import LIMIT_S
from tests.user_state.comparing import Comparing

READ, WRITE = ComparedKind.READ, ComparedKind.WRITE
CANARIES = ["canary-text", "4155550123", "91.7315", "canary name", "canary@example.com", "79161234567"]


def metric(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(f"ridehail_user_state_{name}_total", labels) or 0


async def test_equal_responses_are_only_counted(comparing: Comparing) -> None:
    before = metric("comparisons", kind="read", verdict="equal")
    assert await comparing.compare({"tariffs": [1, 2.0]}, {"tariffs": [2, 1]}) == {}
    assert await comparing.compare(None, None, kind=WRITE) == {}
    assert await comparing.counts() == {("read", "equal"): 1, ("write", "equal"): 1}
    assert await comparing.mismatches() == []
    assert metric("comparisons", kind="read", verdict="equal") == before + 1


async def test_a_mismatch_returns_paths_and_is_stored_with_types_and_hashes(comparing: Comparing) -> None:
    old = {"tariffs": [{"category": "a", "requirements": {"x": [1, "s"], "y": None}}], "selected_category": "a"}
    new = {"tariffs": [{"category": "a", "requirements": {"x": [2, "s"]}}], "selected_category": "b"}
    at = "/tariffs/*/requirements/x/*"
    before = metric("mismatches", kind="write", path=at)

    metadata = await comparing.compare(old, new, kind=WRITE, request_id="first")

    paths = ["/selected_category", "/tariffs/0/requirements/x/0", "/tariffs/0/requirements/y"]
    assert json.loads(metadata.pop("paths")) == paths
    assert metadata == {"statuses": "same", "truncated": "false"}
    ((request_id, kind, statuses, differences),) = await comparing.mismatches(
        "request_id, kind::text, ARRAY[old_status, new_status], differences"
    )
    assert (request_id, kind, statuses) == ("first", "write", [200, 200])
    assert isinstance(differences, list)
    assert [one["path"] for one in differences] == paths
    assert [(one["old_type"], one["new_type"]) for one in differences] == [
        ("string", "string"),
        ("number", "number"),
        ("null", "absent"),
    ]
    assert [len(one["old_hash"]) for one in differences] == [16, 16, 16]
    assert differences[2]["new_hash"] == ""
    assert metric("mismatches", kind="write", path=at) == before + 1


async def test_only_equal_values_have_equal_hashes(comparing: Comparing) -> None:
    await comparing.compare({"a": 1, "b": {"x": [1]}, "c": "1"}, {"a": True, "b": 1.0, "c": {"x": [1.0]}})
    ((differences,),) = await comparing.mismatches("differences")
    assert isinstance(differences, list)
    one, true, nested, again, text, nested_again = [
        found[side] for found in differences for side in ("old_hash", "new_hash")
    ]
    assert one == again
    assert nested == nested_again
    assert len({one, true, nested, text}) == 4


async def test_responses_that_differ_only_in_status_have_no_paths(comparing: Comparing) -> None:
    before = metric("mismatches", kind="read", path="(status)")
    assert await comparing.compare({}, {}, statuses=(200, 404)) == {
        "paths": "[]",
        "statuses": "differ",
        "truncated": "false",
    }
    assert await comparing.mismatches("old_status, new_status, differences") == [(200, 404, [])]
    assert metric("mismatches", kind="read", path="(status)") == before + 1


async def test_responses_of_different_revisions_are_counted_separately_and_displace_no_mismatch(
    comparing: Comparing,
) -> None:
    metadata = await comparing.compare({"revision_id": "7", "tariffs": [1]}, {"revision_id": "6", "tariffs": []})
    assert json.loads(metadata["paths"]) == ["/revision_id"]
    assert await comparing.counts() == {("read", "behind"): 1}
    assert await comparing.mismatches() == []


async def test_many_and_long_paths_are_truncated_to_the_size_of_a_status(comparing: Comparing) -> None:
    metadata = await comparing.compare([1] * 150, [2] * 150)
    assert (len(json.loads(metadata["paths"])), metadata["truncated"]) == (100, "true")
    for name in ("n" * 500, "\u044b" * 500, '"\\' * 200):
        metadata = await comparing.compare({f"{name}{number}": 1 for number in range(90)}, {})
        paths = json.loads(metadata["paths"])
        assert 0 < len(paths) < 90
        assert all(path.startswith(f"/{name}") for path in paths)
        assert metadata["truncated"] == "true"
    metadata = await comparing.compare({"n" * 1_000_000: 1}, {})
    assert (metadata["paths"], metadata["truncated"]) == ("[]", "true")
    ((differences,),) = (await comparing.mismatches("differences"))[-1:]
    assert isinstance(differences, list)
    assert [one["path"] for one in differences] == ["/<name>"]


async def test_no_value_of_a_user_is_stored_logged_or_exported(comparing: Comparing, log: LogCapture) -> None:
    text, number, double, name, mail, phone = CANARIES
    old: Any = {
        text: 1,
        "selected_category": text,
        "tariffs": [{"category": name, "requirements": {mail: int(number), "plain": float(double), phone: [text]}}],
    }
    new: Any = {"tariffs": [{"category": name, "requirements": {"plain": text, phone: [mail]}}, text, [int(number)]]}
    await comparing.compare(old, new, request_id="canary-request")
    await comparing.compare(old, [new], statuses=(200, 409), kind=WRITE)

    kept = json.dumps(await comparing.mismatches("to_jsonb(mismatches)"))
    assert "canary-request" in kept
    everything = kept + str(await comparing.counts()) + log.text + generate_latest(REGISTRY).decode()
    for canary in CANARIES:
        # A name that looks like any other word is taken for one.
        if canary != text:
            assert canary not in everything, canary
    assert everything.count(text) == everything.count(f"/{text}")
    assert "/<name>" in kept


async def test_only_the_latest_mismatches_are_kept_under_concurrency(
    database_url: str, keys_dir: Path, config_dir: Path
) -> None:
    edit(config_dir / "user_state.yaml", {"mismatches_kept": 5})
    async with (
        suite_in_process(
            database_url=database_url, keys_dir=keys_dir, config_dir=config_dir, services=["user-state"]
        ) as suite,
        Comparing.opened(suite) as comparing,
    ):
        await asyncio.gather(*(comparing.compare(1, 2, request_id=f"at-once-{number}") for number in range(40)))
        assert len(await comparing.mismatches()) == 5
        for number in range(7):
            await comparing.compare(1, 2, request_id=f"last-{number}")
        assert await comparing.mismatches() == [(f"last-{number}",) for number in range(2, 7)]


async def test_concurrent_comparisons_are_all_counted(comparing: Comparing) -> None:
    await asyncio.gather(*(comparing.compare(1, 1.0, kind=kind) for kind in (READ, WRITE) for _ in range(40)))
    assert await comparing.counts() == {("read", "equal"): 40, ("write", "equal"): 40}


async def test_old_totals_are_deleted(comparing: Comparing) -> None:
    await comparing.suite.execute(
        """
        INSERT INTO user_state.comparisons
        SELECT now() - days * interval '1 day', 'read', 'equal', 99, 7 FROM unnest(ARRAY[29, 31, 400]) AS days
        """
    )
    await comparing.compare(1, 1)
    assert await comparing.counts() == {("read", "equal"): 8}


def test_metrics_distinguish_at_most_a_hundred_paths() -> None:
    labels = PathLabels()
    assert [labels.label(f"/{number}") for number in range(100)] == [f"/{number}" for number in range(100)]
    assert labels.label("/one-more") == OTHER
    assert labels.label("/7") == "/7"
    assert PathLabels().label("/n" * 500) == OTHER


# --- bad input


def request_of(**fields: Any) -> api.CompareJsonsRequest:
    good: dict[str, Any] = {"request_id": "request", "kind": "read", "old": to_value(1), "new": to_value(1)}
    return api.CompareJsonsRequest(**good | {"old_status": 200, "new_status": 200} | fields)


async def test_a_bad_request_is_refused_and_counts_nothing(comparing: Comparing) -> None:
    bad: list[tuple[dict[str, Any], str, str]] = [
        *(({"request_id": bad}, "request_id", "string.id") for bad in ("", "x" * 129, "a\n", "a\0")),
        *(({"kind": bad}, "kind", "string.in") for bad in ("", "Read", "update", "read ")),
        *(({name: None}, name, "required") for name in ("old", "new")),
        *(
            ({name: bad}, name, "int32.gte_lte")
            for name in ("old_status", "new_status")
            for bad in (0, 99, 600, -200, 2**31 - 1)
        ),
    ]
    for fields, field, rule in bad:
        error = await comparing.failure(request_of(**fields))
        assert error.reason == "INVALID_REQUEST"
        assert [(one.field, one.reason) for one in error.violations] == [(field, rule)], fields
    for garbage in (b"", b"\xff", b"\x0a\xff\xff", os.urandom(64) + b"\x07"):
        assert (await comparing.failure(garbage)).reason == "INVALID_REQUEST"
    assert (await comparing.failure(b"\x0a" + b"x" * 5_000_000)).code is grpc.StatusCode.RESOURCE_EXHAUSTED
    for stranger in ("gateway", "admin", "routestats"):
        metadata = comparing.suite.metadata(stranger, "user-state")
        assert (await comparing.failure(request_of(), metadata)).reason == "CALLER_NOT_ALLOWED"
    assert await comparing.counts() == {}


async def test_two_bodies_alone_are_responses_to_a_read(comparing: Comparing, tmp_path: Path) -> None:
    async with behind_a_gateway(comparing.suite, tmp_path) as harness:
        port = harness.gateway.internal_port
        headers = {**harness.ticket("api-proxy", "user-state"), "x-request-id": "0c5ef7e6-bare"}

        def send(body: dict[str, Any]) -> tuple[int, Any]:
            url = f"http://127.0.0.1:{port}/internal/compare_jsons"
            request = urllib.request.Request(url, json.dumps(body).encode(), headers)
            try:
                with urllib.request.urlopen(request, timeout=LIMIT_S) as answer:
                    return answer.status, json.loads(answer.read())
            except urllib.error.HTTPError as error:
                return error.code, json.loads(error.read())["details"][0]

        equal = {"old": {"tariffs": [1, {"a": 2}]}, "new": {"tariffs": [{"a": 2.0}, 1]}}
        assert await asyncio.to_thread(send, equal) == (200, {})
        status, error = await asyncio.to_thread(send, {"old": {"a": [1, 2]}, "new": {"a": [2, 1]}})
        assert (status, error["reason"], error["metadata"]["statuses"]) == (409, "JSON_MISMATCH", "same")
        typed = {"request_id": "typed", "kind": "write", "old_status": 200, "new_status": 409, "old": 1, "new": 1}
        status, error = await asyncio.to_thread(send, typed)
        assert (status, error["metadata"]["statuses"]) == (409, "differ")
        halves: list[dict[str, Any]] = [{"old": {}}, {"new": {}}, {}]
        for half in halves:
            assert (await asyncio.to_thread(send, half))[0] == 400
    assert await comparing.counts() == {("read", "equal"): 1, ("read", "different"): 1, ("write", "different"): 1}
    rows = await comparing.mismatches("request_id, old_status, new_status")
    assert rows == [("0c5ef7e6-bare", 200, 200), ("typed", 200, 409)]


async def test_json_deeper_than_protobuf_reads_is_refused(comparing: Comparing) -> None:
    def deep(levels: int, *, arrays: bool) -> Value:
        value: Any = 1
        for _ in range(levels):
            value = [value] if arrays else {"a": value}
        return to_value(value)

    for levels, arrays in ((33, False), (49, True)):
        assert (await comparing.failure(request_of(old=deep(levels, arrays=arrays)))).reason == "JSON_MISMATCH"
    # gRPC's own Python cannot even make a deeper one: each level is a tag and a length.
    encoded = deep(33, arrays=False).SerializeToString()
    for _ in range(3):
        entry = b"\x0a\x01a\x12" + varint(len(encoded)) + encoded
        struct = b"\x0a" + varint(len(entry)) + entry
        encoded = b"\x2a" + varint(len(struct)) + struct
    deeper = request_of().SerializeToString() + b"\x1a" + varint(len(encoded)) + encoded
    assert (await comparing.failure(deeper)).reason == "INVALID_REQUEST"


def varint(number: int) -> bytes:
    """Returns a number as protobuf encodes lengths."""
    written = b""
    while number > 127:
        written += bytes([number & 127 | 128])
        number >>= 7
    return written + bytes([number])


async def test_a_number_that_is_not_finite_is_refused(comparing: Comparing) -> None:
    nan = Value(number_value=float("nan"))
    assert (await comparing.failure(request_of(old=nan, new=to_value(1)))).reason == "INVALID_REQUEST"
