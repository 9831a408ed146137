"""A new service needs no client code: `make proto` writes its errors, models and clients, asyncio and blocking."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
CONTRACT = """
// A service that only this test has.
syntax = "proto3";

package ridehail.sample.v1;

import "buf/validate/validate.proto";
import "google/protobuf/struct.proto";
import "google/protobuf/timestamp.proto";
import "ridehail/common/v1/options.proto";
import "ridehail/common/v1/rules.proto";

// Describes rides.
service SampleService {
  option (ridehail.common.v1.audience) = AUDIENCE_INTERNAL;
  option (ridehail.common.v1.destination) = "sample";

  // Describes a ride. Safe to repeat.
  //
  // Errors:
  // - NOT_FOUND `ORDER_NOT_FOUND`: no such ride.
  rpc DescribeRide(DescribeRideRequest) returns (DescribeRideResponse) {
    option (ridehail.common.v1.call_policy) = {
      deadline: {seconds: 30}
      attempt_timeout: {seconds: 20}
    };
    option idempotency_level = NO_SIDE_EFFECTS;
  }

  // Counts rides.
  rpc CountRides(CountRidesRequest) returns (CountRidesResponse) {
    option (ridehail.common.v1.call_policy) = {
      deadline: {seconds: 30}
      attempt_timeout: {seconds: 20}
    };
  }
}

// Request of DescribeRide.
message DescribeRideRequest {
  // The ride. Required.
  string ride_id = 1 [(buf.validate.field).string.(ridehail.common.v1.id) = true];
  // How it was paid. Absent: not yet.
  optional string paid_by = 2 [
    (buf.validate.field).string = {
      in: [
        "card",
        "cash"
      ]
    },
    (ridehail.common.v1.client_enum) = "PaidBy"
  ];
  // What else is known.
  map<string, google.protobuf.Value> known = 3;
  // Its stops.
  repeated Stop stops = 4;
}

// A stop.
message Stop {
  // Where. Required.
  string place = 1 [(buf.validate.field).string.(ridehail.common.v1.id) = true];
  // When. Absent: not yet.
  google.protobuf.Timestamp at = 2;
}

// Response of DescribeRide.
message DescribeRideResponse {
  option (ridehail.common.v1.client_model) = {name: "RideDescription"};

  // The stops, the last one first.
  repeated Stop stops = 1;
  // How it was paid.
  string paid_by = 2 [
    (buf.validate.field).string = {in: ["card"]},
    (ridehail.common.v1.client_enum) = "PaidBy"
  ];
  // As it was sent.
  google.protobuf.Struct known = 3;
}

// Request of CountRides.
message CountRidesRequest {}

// Response of CountRides.
message CountRidesResponse {
  // How many.
  int64 rides = 1 [(ridehail.common.v1.bare) = true];
}
"""
PROGRAM = """
import asyncio, inspect
from concurrent import futures
from datetime import UTC, datetime

import grpc
from google.protobuf.any_pb2 import Any
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status
from grpc_health.v1 import health, health_pb2_grpc

from ridehail.sample.v1 import sample_api_pb2 as api, sample_api_pb2_grpc as api_grpc
from ridehail_clients import AsyncSampleClient, OrderNotFound, PaidBy, RideDescription, SampleClient, Stop
from ridehail_clients import static_ticket

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)


class Sample(api_grpc.SampleServiceServicer):
    def DescribeRide(self, request, context):
        assert dict(context.invocation_metadata())["x-ya-service-ticket"] == "ticket"
        if request.ride_id == "missing":
            detail = Any()
            detail.Pack(ErrorInfo(reason="ORDER_NOT_FOUND", domain="ridehail", metadata={"order_id": "missing"}))
            status = Status(code=5, message="no such ride", details=[detail])
            context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
            context.abort(grpc.StatusCode.NOT_FOUND, "no such ride")
        response = api.DescribeRideResponse(stops=reversed(request.stops), paid_by=request.paid_by)
        for name, value in request.known.items():
            response.known.fields[name].CopyFrom(value)
        return response

    def CountRides(self, request, context):
        return api.CountRidesResponse(rides=7)


server = grpc.server(futures.ThreadPoolExecutor(4))
api_grpc.add_SampleServiceServicer_to_server(Sample(), server)
health_pb2_grpc.add_HealthServicer_to_server(health.HealthServicer(experimental_non_blocking=False), server)
target = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
server.start()

stops = [Stop("home"), Stop("work", NOON)]
arguments = {"ride_id": "ride", "paid_by": PaidBy.CARD, "known": {"seats": [4]}, "stops": stops}
expected = RideDescription((Stop("work", NOON), Stop("home", None)), PaidBy.CARD, {"seats": [4]})
with SampleClient(target, ticket=static_ticket("ticket")) as client:
    assert client.describe_ride(**arguments) == expected
    assert client.count_rides() == 7
    try:
        client.describe_ride(ride_id="missing")
    except OrderNotFound as error:
        assert error.metadata["order_id"] == "missing"


async def main():
    async with AsyncSampleClient(target, ticket=static_ticket("ticket")) as client:
        assert await client.describe_ride(**arguments) == expected


asyncio.run(main())
server.stop(None).wait()
print(inspect.getdoc(AsyncSampleClient.describe_ride))
print(list(PaidBy))
"""
DOCSTRING = """\
Describes a ride. Safe to repeat.

The client repeats it after failures that pass, for 30 s by default, 20 s an attempt.

Args:
    ride_id: The ride.
    paid_by: How it was paid. None: not yet.
    known: What else is known.
    stops: Its stops.
    timeout: Seconds for the whole call.
    metadata: Further metadata of the call.

Returns:
    What DescribeRide returns.

Raises:
    OrderNotFound: No such ride.
    ValueError: A number in JSON is not finite, or whole and beyond 2^53 - 1.
    TypeError: Something in JSON is no JSON value.
[<PaidBy.CARD: 'card'>, <PaidBy.CASH: 'cash'>]
"""


def test_a_new_service_is_called_by_clients_that_nobody_wrote(tmp_path: Path) -> None:
    for name in ("proto", "clients"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "setup.cfg", tmp_path)
    (tmp_path / "docs").mkdir()
    shutil.copy(ROOT / "docs" / "errors.md", tmp_path / "docs")
    contract = tmp_path / "proto" / "ridehail" / "sample" / "v1" / "sample_api.proto"
    contract.parent.mkdir(parents=True)
    contract.write_text(CONTRACT)

    def ended(*command: str | Path) -> subprocess.CompletedProcess[str]:
        path = os.pathsep.join(str(tmp_path / folder) for folder in ("generated", "clients"))
        environment = {**os.environ, "PYTHONPATH": path}
        return subprocess.run([sys.executable, *command], capture_output=True, text=True, check=False, env=environment)

    def run(*command: str | Path) -> str:
        one = ended(*command)
        assert one.returncode == 0, one.stderr
        return one.stdout

    image = tmp_path / "contracts.binpb"
    run(tmp_path / "proto" / "generate.py", "--output", tmp_path / "generated", "--image", image)
    generate_clients = tmp_path / "proto" / "generate_clients.py"
    stale = ended(generate_clients, "--check", image)
    assert stale.returncode == 1
    assert "clients/ridehail_clients/_async/generated/sample.py" in stale.stderr
    run(generate_clients, image)
    run(generate_clients, "--check", image)
    run(tmp_path / "clients" / "generate_sync.py")
    assert run("-c", PROGRAM) == DOCSTRING
    assert (tmp_path / "docs" / "errors.md").read_text() == (ROOT / "docs" / "errors.md").read_text()
