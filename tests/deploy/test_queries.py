"""The reader of queries refuses what Prometheus would silently answer with nothing."""

from __future__ import annotations

import pytest

from .queries import Mistake, read


@pytest.mark.parametrize(
    ("query", "complaint"),
    [
        ("rate(absent_metric[5m])", "nobody exports absent_metric"),
        ('a{no_label="x"}', "no label"),
        ("sum by (no_label) (a)", "no label"),
        ("sum by (x) (a) / sum by (y) (a)", "never match"),
        ("a and b", "never match"),
        ("a unless on (x) b", "no label"),
        ("histogram_quantile(0.5, sum by (x) (a))", "no label"),
        ("absent(a == 1)", "absent"),
        ("sum(a", "sum"),
    ],
)
def test_a_query_without_a_result_is_a_mistake(query: str, complaint: str) -> None:
    with pytest.raises(Mistake, match=complaint):
        read(query, {"a": frozenset({"x", "y"}), "b": frozenset({"z"})})
