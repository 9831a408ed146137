"""The task queue, continued: Postgres lets new states be used only after the transaction that makes them."""

from ridehail_servers.chassis.task_schema import task_queue_steps

steps = task_queue_steps(
    since="02.06.00_01_add_cancel_states.sql",
    until="03.04.00_50_post_add_retry_failed_job_procedure.sql",
)
