"""Tables and blocks of pages that are made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(map(str, line))} |\n" for line in lines)


def with_blocks(page: str, blocks: Mapping[str, str]) -> str:
    """Returns a page with what stands between the marks of each block replaced."""
    for name, content in blocks.items():
        begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
        before, found, rest = page.partition(begin)
        _, has_end, after = rest.partition(end)
        assert found, f"the page does not say where {name} begins"
        assert has_end, f"the page does not say where {name} ends"
        page = f"{before}{begin}\n{content}{end}{after}"
    return page
