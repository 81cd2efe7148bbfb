"""Makes the table and the plot of what was measured."""

from collections.abc import Iterator, Sequence
from html import escape
from statistics import median

from tests.bench.contenders import BARE, OURS, RIVALS
from tests.bench.measure import HANDSHAKE, KEEP_ALIVE, MODES, Result
from tests.bench.processes import ROOT
from tests.bench.reloads import Reloads

DOCUMENT = ROOT / "docs" / "benchmarks.md"
PLOT = ROOT / "docs" / "images" / "benchmarks.svg"
BEGIN, END = "<!-- measured -->", "<!-- end of what was measured -->"
COUNTED = 10_000
"""Idle connections that the memory is told of."""
OURS_COLOUR, RIVAL_COLOUR = "#1f6feb", "#8c959f"


def insert(text: str, begin: str = BEGIN, end: str = END) -> None:
    """Replace what the document says between two marks."""
    head, _, rest = DOCUMENT.read_text().partition(begin)
    _, _, tail = rest.partition(end)
    DOCUMENT.write_text(f"{head}{begin}\n\n{text}\n\n{end}{tail}")


def markdown(results: Sequence[Result], reloads: Reloads | None) -> str:
    """Return the tables: figures of everybody, ratios of ours to the rivals, reloads."""
    parts = [_figures(results), _ratios(results)]
    if reloads is not None:
        parts.append(_reloads(reloads))
    return "\n\n".join(parts)


def _figures(results: Sequence[Result]) -> str:
    head = ["server"]
    for mode in MODES:
        head += [f"{mode} requests/s", "p50 ms", "p99 ms", "µs CPU"]
    lines = [[*head, f"MiB for {COUNTED:,} idle connections"]]
    for result in results:
        line = [result.name]
        for mode in MODES:
            figures = result.modes[mode]
            line += [f"{figures.rate:,.0f}", f"{median(figures.p50):.2f}", f"{median(figures.p99):.2f}"]
            line.append(f"{figures.cost:.1f}")
        lines.append([*line, f"{result.kib_per_connection * COUNTED / 1024:,.0f}"])
    return table(lines)


def _ratios(results: Sequence[Result]) -> str:
    rivals = [result for result in results if result.name in RIVALS]
    lines = [["ours", *(f"{mode}: x {rival.name}" for mode in MODES for rival in rivals)]]
    bare = next((result for result in results if result.name == BARE), None)
    if bare is not None:
        lines[0].append(f"idle memory: x {BARE}")
    for own in (result for result in results if result.name.startswith(OURS)):
        ratios = [rival.modes[mode].cost / own.modes[mode].cost for mode in MODES for rival in rivals]
        if bare is not None:
            ratios.append(own.kib_per_connection / bare.kib_per_connection)
        lines.append([own.name, *(f"{ratio:.2f}" for ratio in ratios)])
    return "Requests for the same processor time, as a multiple of each rival's:\n\n" + table(lines)


def _reloads(reloads: Reloads) -> str:
    lines = [["p99 ms, median (quartiles)", *MODES]]
    for words, found in (("as many deliveries beside", reloads.without), ("reloads", reloads.during)):
        quartiles = [found[mode] for mode in MODES]
        lines.append([words, *(f"{mid:.2f} ({low:.2f} to {high:.2f})" for low, mid, high in quartiles)])
    head = (
        f"{reloads.count:,} reloads under load in {reloads.seconds:.0f} s: {reloads.errors} failed requests"
    )
    return f"{head}; {reloads.slices} slices of either kind:\n\n{table(lines)}"


def table(lines: Sequence[Sequence[str]]) -> str:
    """Return a table, whose first line is its head."""
    head, *body = lines
    alignment = ["---", *["---:"] * (len(head) - 1)]
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, alignment, *body))


def plot(results: Sequence[Result]) -> str:
    """Return an SVG picture: bars for the rates of both modes."""
    height, width = 34 + 22 * len(results), 460
    panels = [
        f'<g transform="translate({number * width},0)">{"".join(_panel(results, mode))}</g>'
        for number, mode in enumerate(MODES)
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {2 * width} {height}" role="img" '
        'font-family="system-ui, sans-serif" font-size="13">\n'
        "<title>Requests a second on one core</title>\n"
        f'<rect width="{2 * width}" height="{height}" fill="#ffffff"/>\n' + "\n".join(panels) + "\n</svg>\n"
    )


def _panel(results: Sequence[Result], mode: str) -> Iterator[str]:
    titles = {
        KEEP_ALIVE: "requests/s, connections kept",
        HANDSHAKE: "handshakes with one request each, per second",
    }
    yield f'<text x="140" y="18" font-weight="600">{titles[mode]}</text>\n'
    fastest = max(result.modes[mode].rate for result in results)
    for row, result in enumerate(sorted(results, key=lambda result: -result.modes[mode].rate)):
        rate, top = result.modes[mode].rate, 28 + 22 * row
        colour = OURS_COLOUR if result.name.startswith(OURS) else RIVAL_COLOUR
        yield f'<text x="132" y="{top + 13}" text-anchor="end">{escape(result.name)}</text>'
        yield f'<rect x="140" y="{top}" width="{240 * rate / fastest:.1f}" height="16" fill="{colour}"/>'
        yield f'<text x="{146 + 240 * rate / fastest:.1f}" y="{top + 13}">{rate:,.0f}</text>\n'
