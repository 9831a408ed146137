"""The task queue, in the service's own schema."""

from ridehail_servers.chassis.task_schema import task_queue_steps

steps = task_queue_steps(since=None, until="02.06.00_01_add_cancel_states.sql")
