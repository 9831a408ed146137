"""The expression for the headers that do not pass."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from ridehail_servers.gateway.headers import STRIPPED, known_headers, others_regex

NAMES = st.text("ab-:.", max_size=5)


@given(names=st.sets(NAMES, min_size=1, max_size=8), other=NAMES)
def test_it_matches_every_name_but_those_that_pass(names: set[str], other: str) -> None:
    expression = re.compile(others_regex(names), re.DOTALL)
    assert not any(map(expression.fullmatch, names))
    assert (expression.fullmatch(other) is None) == (other in names)


def test_what_servers_trust_does_not_pass() -> None:
    for listener, stripped in STRIPPED.items():
        expression = re.compile(others_regex(known_headers(listener, tls=True)))
        assert all(map(expression.fullmatch, stripped))
