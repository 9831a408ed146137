"""Generates `generated/` from `proto/`: messages, stubs, their type information, and the gateway's descriptor set.

Run by `make proto`. The output is deterministic, so `make check` can compare it with what is checked in. Sources that
packages provide (google/api, google/rpc, buf/validate) are taken from the installed packages.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import google.rpc
import grpc_tools
from google.protobuf import (
    descriptor_pb2,
    duration_pb2,
    field_mask_pb2,
    timestamp_pb2,
)
from protovalidate._gen.buf.validate import validate_pb

ROOT = Path(__file__).parent
OUTPUT = ROOT.parent / "generated"
PROTOC_INCLUDE = Path(grpc_tools.__file__).parent / "_proto"
GOOGLEAPIS_INCLUDE = Path(google.rpc.__file__ or next(iter(google.rpc.__path__))).parents[2]
# No package ships Python stubs of buf/validate for google.protobuf, and a top-level `buf` package of ours would collide
# with others': it is generated under this package, and the generated imports are rewritten to it.
VALIDATE_PROTO = "buf/validate/validate.proto"
THIRD_PARTY = "ridehail._third_party"
# A JSON error's details are converted only if the gateway's descriptor set holds their types; clients read them too.
ERROR_DETAILS = ("google/rpc/status.proto", "google/rpc/error_details.proto")


def main() -> None:
    """Generates everything into `--output`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=OUTPUT, help="where to write (default: generated/)")
    parser.add_argument("--image", type=Path, help="also write a descriptor set with comments here, for buf")
    arguments = parser.parse_args()
    protos = sorted(str(path.relative_to(ROOT)) for path in ROOT.rglob("*.proto"))
    with tempfile.TemporaryDirectory() as temporary:
        validate_set = Path(temporary, "validate.binpb")
        validate_set.write_bytes(_validate_descriptor_set())
        staging = Path(temporary, "python")
        staging.mkdir()
        _protoc(
            validate_set,
            *(f"--{kind}_out={staging}" for kind in ("python", "grpc_python")),
            *(f"--{kind}_out=quiet:{staging}" for kind in ("mypy", "mypy_grpc")),
            VALIDATE_PROTO,
            *protos,
        )
        _tidy(staging)
        _protoc(
            validate_set,
            "--include_imports",
            f"--descriptor_set_out={staging / 'ridehail' / 'descriptors.binpb'}",
            *ERROR_DETAILS,
            *protos,
        )
        if arguments.image:
            _protoc(
                validate_set,
                "--include_imports",
                "--include_source_info",
                f"--descriptor_set_out={arguments.image}",
                *ERROR_DETAILS,
                *protos,
            )
        target = arguments.output / "ridehail"
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(staging / "ridehail", target)


def _validate_descriptor_set() -> bytes:
    """Returns buf/validate/validate.proto and its imports as a serialised FileDescriptorSet."""
    descriptors = descriptor_pb2.FileDescriptorSet()
    for module in (descriptor_pb2, duration_pb2, field_mask_pb2, timestamp_pb2):
        descriptors.file.add().ParseFromString(module.DESCRIPTOR.serialized_pb)
    descriptors.file.add().ParseFromString(validate_pb.desc().proto.to_binary())
    return descriptors.SerializeToString()


def _protoc(validate_set: Path, *arguments: str) -> None:
    includes = (f"-I{ROOT}", f"-I{PROTOC_INCLUDE}", f"-I{GOOGLEAPIS_INCLUDE}", f"--descriptor_set_in={validate_set}")
    # The protoc plugins are installed beside the interpreter.
    environment = dict(os.environ, PATH=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    command = (sys.executable, "-m", "grpc_tools.protoc", *includes, *arguments)
    subprocess.run(command, check=True, env=environment)


def _tidy(staging: Path) -> None:
    """Moves the validation stubs under our package, drops stubs of files without services, marks the package typed."""
    third_party = staging / Path(*THIRD_PARTY.split("."))
    shutil.move(staging / "buf", third_party / "buf")
    for path in list(staging.rglob("*_pb2_grpc.py")):
        if "Servicer" not in path.read_text():
            path.unlink()
            path.with_suffix(".pyi").unlink()
    for path in staging.rglob("*.py*"):
        text = path.read_text()
        path.write_text(
            re.sub(r"^from buf\.validate import", f"from {THIRD_PARTY}.buf.validate import", text, flags=re.M)
        )
    (staging / "ridehail" / "py.typed").touch()


if __name__ == "__main__":
    main()
