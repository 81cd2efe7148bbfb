"""Coverage-guided search for inputs on which the server breaks its word, and the inputs that it has found."""

from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent
TARGETS: Final = tuple(sorted(module.stem for module in (HERE / "targets").glob("*.py")))
CORPUS: Final = HERE / "corpus"
