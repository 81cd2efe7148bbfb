"""Coverage-guided search for inputs on which the server breaks its word, and the inputs that it has found."""

from pathlib import Path
from typing import Final

TARGETS: Final = ("identity", "policy", "http", "paths", "material", "response", "stored")
CORPUS: Final = Path(__file__).parent / "corpus"
