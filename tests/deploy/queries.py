"""PromQL read the way Prometheus evaluates it: which metrics a query reads, and which labels its result has."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import promql_parser as promql

# What Prometheus adds to everything that it scrapes. A label of the same name that the target exports is renamed.
TARGET_LABELS = frozenset({"job", "instance"})
# What Prometheus makes by itself.
SYNTHETIC = {
    "up": TARGET_LABELS,
    "ALERTS": frozenset({"alertname", "alertstate", "severity", "grpc_method", "task", "job", "instance", "service"}),
}
_SET_OPERATORS = {"and", "or", "unless"}
_ABSENCE = {"absent", "absent_over_time"}


class Mistake(Exception):
    """A query that Prometheus would evaluate to nothing, or to something unintended."""


@dataclass(frozen=True)
class Matcher:
    metric: str
    label: str
    operator: str
    value: str

    def alternatives(self) -> list[str]:
        """Returns the values that it names, one by one."""
        return self.value.split("|") if self.operator in {"=~", "!~"} else [self.value]

    def fits(self, known: set[str]) -> bool:
        """Returns whether each alternative is a value that exists."""
        return all(any(re.fullmatch(one, value) for value in known) for one in self.alternatives())


@dataclass
class Query:
    """What a query reads, and what it gives.

    Attributes:
        metrics: Read by it, by the names in the query.
        matchers: Every condition.
        labels: Of the result; None for a scalar, which has none and fits everything.
    """

    metrics: set[str] = field(default_factory=set)
    matchers: list[Matcher] = field(default_factory=list)
    labels: frozenset[str] | None = None


def read(text: str, known: Mapping[str, frozenset[str]]) -> Query:
    """Reads a query.

    Args:
        text: PromQL.
        known: The labels of every metric, those of the target included.

    Raises:
        Mistake: It reads what nobody exports, uses a label that is not there, or joins what never matches.
    """
    query = Query()
    try:
        expression = promql.parse(text)
    except ValueError as error:
        raise Mistake(f"{error}: {text}") from error
    query.labels = _Reader(query, known).labels(expression)
    return query


class _Reader:
    def __init__(self, query: Query, known: Mapping[str, frozenset[str]]) -> None:
        self._query = query
        self._known = known

    def labels(self, node: Any) -> frozenset[str] | None:  # the parser's classes have no common type
        readers: dict[type, Callable[[Any], frozenset[str] | None]] = {
            promql.NumberLiteral: lambda _scalar: None,
            promql.ParenExpr: lambda inner: self.labels(inner.expr),
            promql.UnaryExpr: lambda inner: self.labels(inner.expr),
            promql.SubqueryExpr: lambda inner: self.labels(inner.expr),
            promql.MatrixSelector: lambda matrix: self._selected(matrix.vector_selector),
            promql.VectorSelector: self._selected,
            promql.AggregateExpr: self._aggregated,
            promql.Call: self._called,
            promql.BinaryExpr: self._joined,
        }
        return readers[type(node)](node)

    def _selected(self, node: promql.VectorSelector) -> frozenset[str]:
        name = node.name or ""
        if name not in self._known:
            raise Mistake(f"nobody exports {name}")
        self._query.metrics.add(name)
        for matcher in node.matchers.matchers:
            operator = {"Equal": "=", "NotEqual": "!=", "Re": "=~", "NotRe": "!~"}[str(matcher.op).rpartition(".")[2]]
            self._require({matcher.name}, self._known[name], name)
            self._query.matchers.append(Matcher(name, matcher.name, operator, matcher.value))
        return self._known[name]

    def _aggregated(self, node: promql.AggregateExpr) -> frozenset[str]:
        inner = self.labels(node.expr) or frozenset()
        if node.modifier is None:
            return frozenset()
        self._require(set(node.modifier.labels), inner, str(node.modifier.labels))
        by = node.modifier.type == promql.AggModifierType.By
        return frozenset(node.modifier.labels) if by else inner - set(node.modifier.labels)

    def _called(self, node: promql.Call) -> frozenset[str] | None:
        name = node.func.name
        found = [self.labels(argument) for argument in node.args]
        vectors = [labels for labels in found if labels is not None]
        if name == "vector":
            return frozenset()
        if not vectors or name == "scalar":
            return None
        (labels,) = vectors
        if name in _ABSENCE:
            selector = getattr(node.args[0], "vector_selector", node.args[0])
            if not isinstance(selector, promql.VectorSelector):
                raise Mistake(f"{name} of something else than a selector has no labels")
            equal = str(promql.MatchOp.Equal)
            return frozenset(it.name for it in selector.matchers.matchers if str(it.op) == equal)
        if name == "histogram_quantile":
            self._require({"le"}, labels, name)
            return labels - {"le"}
        return labels

    def _joined(self, node: promql.BinaryExpr) -> frozenset[str] | None:
        left, right = self.labels(node.lhs), self.labels(node.rhs)
        if left is None or right is None:
            return left if right is None else right
        if str(node.op) == "or":
            return left | right
        matching = node.modifier.matching if node.modifier is not None else None
        if matching is None:
            if left != right:
                raise Mistake(f"{sorted(left)} {node.op} {sorted(right)} never match")
            return left
        self._require(set(matching.labels), left & right, str(node.op))
        assert node.modifier is not None
        if node.modifier.card == promql.VectorMatchCardinality.ManyToOne:
            included = frozenset(node.modifier.group_labels or ())
            self._require(set(included), right, "group_left")
            return left | included
        return left if str(node.op) in _SET_OPERATORS else frozenset(matching.labels)

    def _require(self, wanted: set[str], there: frozenset[str], where: str) -> None:
        if missing := wanted - there:
            raise Mistake(f"{where}: no label {sorted(missing)} among {sorted(there)}")


def templates(text: str) -> set[str]:
    """Returns the labels that an annotation or a legend refers to."""
    return set(re.findall(r"\$labels\.(\w+)", text)) | set(re.findall(r"{{\s*(?!else\b|end\b)(\w+)\s*}}", text))
