"""The mTLS server: it demands client certificates and tells the application who calls."""

from typing import Final

__version__: Final = "0.1.0"
