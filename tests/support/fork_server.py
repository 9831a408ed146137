"""Processes that start in milliseconds: they are forked from one that has imported what they need."""

from __future__ import annotations

import multiprocessing
from multiprocessing.context import ForkServerContext

# Of each process of the test run there is one such server, so it imports what any test needs.
_IMPORTED = [
    "pytest",
    "ridehail_servers.command_line.toll_roads_jobs",
    "tests.crash.killer",
    "tests.eulas.crashing",
    "tests.route_sharing.crashing",
    "tests.support.processes",
    "tests.support.replica",
    "tests.support.served_process",
    "tests.toll_roads.crashing",
    "yt.wrapper",
]


def fork_server() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_IMPORTED)
    return context
