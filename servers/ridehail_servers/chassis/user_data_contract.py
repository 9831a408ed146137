"""The contract of users' data, which every service with a database serves; definitions name it."""

from __future__ import annotations

from typing import Final

from ridehail.userdata.v1 import user_data_api_pb2, user_data_api_pb2_grpc

from .service_definition import Contract

USER_DATA: Final = Contract(
    user_data_api_pb2.DESCRIPTOR.services_by_name["UserDataService"],
    user_data_api_pb2_grpc.add_UserDataServiceServicer_to_server,
)
