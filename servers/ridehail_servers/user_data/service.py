"""The gRPC service of user_data's jobs."""

from __future__ import annotations

from typing import Any

import grpc

from ridehail.userdata.v1 import user_data_api_pb2 as api
from ridehail.userdata.v1 import user_data_api_pb2_grpc as api_grpc
from ridehail.userdata.v1 import user_data_pb2

from .codec import to_job
from .erasures import Erasures
from .exports import Exports
from .jobs import Jobs

Context = grpc.aio.ServicerContext[Any, Any]


class UserDataJobsServicer(api_grpc.UserDataJobsServiceServicer):
    def __init__(self, jobs: Jobs, erasures: Erasures, exports: Exports) -> None:
        self._jobs = jobs
        self._erasures = erasures
        self._exports = exports

    async def StartUserErasure(
        self, request: api.StartUserErasureRequest, context: Context
    ) -> api.StartUserErasureResponse:
        started = await self._erasures.start(request.yandex_uid, request.phone_ids, request.requested_by)
        return api.StartUserErasureResponse(job_id=started.job_id, receipt_key=started.receipt_key)

    async def StartUserExport(
        self, request: api.StartUserExportRequest, context: Context
    ) -> api.StartUserExportResponse:
        started = await self._exports.start(request.yandex_uid, request.phone_ids, request.requested_by)
        return api.StartUserExportResponse(
            job_id=started.job_id, receipt_key=started.receipt_key, services=self._jobs.services.names
        )

    async def ReadUserExport(self, request: api.ReadUserExportRequest, context: Context) -> api.ReadUserExportResponse:
        page = await self._exports.read(request.job_id, request.service, request.page_token)
        return api.ReadUserExportResponse(
            records=[user_data_pb2.UserRecord(kind=one.kind, content=one.content) for one in page.records],
            next_page_token=page.next_page_token,
        )

    async def FinishUserExport(
        self, request: api.FinishUserExportRequest, context: Context
    ) -> api.FinishUserExportResponse:
        await self._exports.finish(request.job_id)
        return api.FinishUserExportResponse()

    async def GetUserDataJob(self, request: api.GetUserDataJobRequest, context: Context) -> api.GetUserDataJobResponse:
        return to_job(await self._jobs.receipt(request.job_id))
