"""Renders the chart by Helm's library, in a process of its own: Go's runtime has signal handlers and threads.

Reads a list of values as JSON from standard input; writes for each what was rendered, or the error.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import helm_python


def main() -> None:
    chart_folder, release, namespace = sys.argv[1:4]
    if "--lint" in sys.argv:
        json.dump(helm_python.lint(chart_folder, strict=True), sys.stdout)
        return
    results: list[Any] = []
    with helm_python.Chart.load(chart_folder) as chart:
        for values in json.load(sys.stdin):
            try:
                chart.validate_schema(values)
                results.append({"files": chart.render(values, name=release, namespace=namespace)})
            except helm_python.HelmError as error:
                results.append({"error": str(error)})
    json.dump(results, sys.stdout)


if __name__ == "__main__":
    main()
