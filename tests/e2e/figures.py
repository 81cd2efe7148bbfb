"""What was measured: a table at the end of the run, and a file of the cluster's name."""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.cluster import layout

FOLDER = Path(__file__).parents[2] / "build" / "figures"


@dataclass(frozen=True)
class Figure:
    name: str
    value: float
    unit: str
    aim: float | None = None
    """What it should be at most."""

    def __str__(self) -> str:
        aim = f"  (aim: at most {self.aim:g})" if self.aim is not None else ""
        return f"{self.name:<64}{self.value:>10.3g} {self.unit}{aim}"


class Figures(list[Figure]):
    """The figures of one run."""

    def record(self, name: str, value: float, unit: str, aim: float | None = None) -> None:
        self.append(Figure(name, value, unit, aim))

    def record_worst(self, name: str, value: float, unit: str, aim: float) -> None:
        """Keep the largest of the values that are recorded under this name."""
        values = [figure.value for figure in self if figure.name == name]
        self[:] = [figure for figure in self if figure.name != name]
        self.record(name, max([value, *values]), unit, aim)

    def write(self) -> None:
        FOLDER.mkdir(parents=True, exist_ok=True)
        file = FOLDER / f"{layout.default_name()}.json"
        file.write_text(json.dumps([asdict(figure) for figure in self], indent=2) + "\n")


def percentile(samples: Sequence[float], percent: float) -> float:
    """Return the sample that so many percent of all do not exceed (nearest rank)."""
    return sorted(samples)[math.ceil(len(samples) * percent / 100) - 1]
