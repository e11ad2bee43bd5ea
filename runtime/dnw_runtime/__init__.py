"""Networks with learned wirings from one file: `Network("net.dnw")(images)`. Needs NumPy only."""

from dnw_runtime.runtime import InputError, Network

__all__ = ["InputError", "Network"]
