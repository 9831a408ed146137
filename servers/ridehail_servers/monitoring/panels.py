"""A panel, a row or a variable as Grafana's model of a dashboard has it."""

from __future__ import annotations

import string
from collections.abc import Mapping
from typing import Any, Final

Json = dict[str, Any]  # as deep as Grafana's model

_SOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}


def row_json(number: int, title: str, place: Mapping[str, int]) -> Json:
    return {"type": "row", "id": number, "title": title, "collapsed": False, "gridPos": place, "panels": []}


def variable_json(name: str, definition: str) -> Json:
    """Returns a variable of several values, all of them at first."""
    return {
        "name": name,
        "label": name.capitalize(),
        "type": "query",
        "datasource": _SOURCE,
        "query": {"query": definition, "refId": name},
        "definition": definition,
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".+",
        "current": {"text": ["All"], "value": ["$__all"]},
    }


def panel_json(number: int, panel: Mapping[str, Any], place: Mapping[str, int]) -> Json:
    """Returns a panel, given the fields of `dashboards.Panel`."""
    kind = panel["kind"]
    fields, options = _KINDS[kind](panel)
    return {
        "type": kind,
        "id": number,
        "title": panel["title"],
        "description": panel["about"],
        "datasource": _SOURCE,
        "gridPos": place,
        "fieldConfig": {"defaults": fields, "overrides": []},
        "options": options,
        "targets": [
            {"refId": letter, "expr": query, "legendFormat": legend}
            | ({"format": "heatmap"} if kind == "heatmap" else {})
            for letter, (legend, query) in zip(string.ascii_uppercase, panel["queries"].items(), strict=False)
        ],
    }


def _timeseries(panel: Mapping[str, Any]) -> tuple[Json, Json]:
    lines: Json = {"lineWidth": 1, "fillOpacity": 10, "showPoints": "never", "spanNulls": False}
    fields: Json = {"unit": panel["unit"], "min": 0, "custom": lines}
    if panel["max"] is not None:
        fields["max"] = panel["max"]
    if panel["bad_from"] is not None:
        lines["thresholdsStyle"] = {"mode": "dashed"}
        fields["thresholds"] = _thresholds(panel["bad_from"], "red")
    legend = {"displayMode": "table", "placement": "bottom", "calcs": ["lastNotNull", "max"], "showLegend": True}
    return fields, {"legend": legend, "tooltip": {"mode": "multi", "sort": "desc"}}


def _stat(panel: Mapping[str, Any]) -> tuple[Json, Json]:
    fields: Json = {"unit": panel["unit"], "noValue": "0"}
    if panel["bad_from"] is not None:
        fields["thresholds"] = _thresholds(panel["bad_from"], "orange")
    reduced = {"calcs": ["lastNotNull"], "fields": "", "values": False}
    colors = "none" if panel["bad_from"] is None else "background"
    return fields, {
        "colorMode": colors,
        "graphMode": "area",
        "textMode": "value_and_name",
        "reduceOptions": reduced,
        "justifyMode": "auto",
        "orientation": "auto",
        "wideLayout": True,
        "showPercentChange": False,
        "percentChangeColorMode": "standard",
    }


def _heatmap(_panel: Mapping[str, Any]) -> tuple[Json, Json]:
    colors: Json = {"mode": "scheme", "scheme": "Oranges", "scale": "exponential", "exponent": 0.5, "steps": 64}
    return {"custom": {"scaleDistribution": {"type": "linear"}}}, {
        "calculate": False,
        "cellGap": 1,
        "color": {**colors, "fill": "dark-orange", "reverse": False},
        "showValue": "auto",
        "exemplars": {"color": "rgba(255,0,255,0.7)"},
        "yAxis": {"unit": "s", "axisPlacement": "left"},
        "rowsFrame": {"layout": "auto"},
        "cellValues": {"unit": "reqps"},
        "legend": {"show": True},
        "tooltip": {"mode": "single", "yHistogram": True, "showColorScale": False},
        "filterValues": {"le": 1e-9},
    }


def _thresholds(bad_from: float, color: str) -> Json:
    steps = [{"color": "green", "value": None}, {"color": color, "value": bad_from}]
    return {"mode": "absolute", "steps": steps}


_KINDS: Final = {"timeseries": _timeseries, "stat": _stat, "heatmap": _heatmap}
