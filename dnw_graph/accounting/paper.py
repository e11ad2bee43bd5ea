"""The table of the paper: parameters and multiply-adds in millions, as printed there.

Source: Wortsman, Farhadi, Rastegari 2019, ImageNet tables; the tiny network's "41k" from the CIFAR-10 table.
Learned wirings were counted after training, which kills nodes, so they lie below the bound of their budget.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class PaperRow:
    """One network of the paper.

    name    its name here: the file name under `configs/`
    model   the `model` section of its configuration
    params, macs  in millions, with the digits that were printed; macs None where none were
    """

    name: str
    model: dict[str, Any]
    params: str
    macs: str | None

    @property
    def is_wired(self) -> bool:
        return "rule" in self.model


def _wired(name: str, rule: str, width: float, params: str, macs: str, small: bool = False) -> PaperRow:
    model = {"network": "mobilenet_v1", "rule": rule, "width": width, "small": small}
    return PaperRow(name, model | {"image_size": 224, "num_classes": 1000}, params, macs)


def _dense(name: str, network: str, multiplier: float, params: str, macs: str) -> PaperRow:
    model = {"network": network, "multiplier": multiplier, "image_size": 224, "num_classes": 1000}
    return PaperRow(name, model, params, macs)


IMAGENET = (
    _dense("mobilenet_v1_x0.25", "mobilenet_v1_dense", 0.25, "0.5", "41"),
    _dense("shufflenet_v2_x0.5", "shufflenet_v2", 0.5, "1.4", "41"),
    _wired("random_x0.225", "random", 0.225, "1.2", "55.7"),
    _wired("dnw_small_x0.15", "top_k", 0.15, "0.24", "22.1", small=True),
    _wired("dnw_small_x0.225", "top_k", 0.225, "0.4", "41.2", small=True),
    _wired("dnw_x0.225", "top_k", 0.225, "1.1", "42.1"),
    _wired("dnw_x0.3", "top_k", 0.3, "1.3", "66.7"),
    _dense("mobilenet_v1_x0.5", "mobilenet_v1_dense", 0.5, "1.3", "149"),
    _dense("shufflenet_v2_x1", "shufflenet_v2", 1.0, "2.3", "146"),
    # Made with prune rate 0.49, that is width 0.51; the name is the paper's.
    _wired("random_x0.49", "random", 0.51, "1.8", "170"),
    _wired("dnw_x0.49", "top_k", 0.49, "1.8", "154"),
)

_TINY = {"network": "tiny_static", "edges": 32000, "image_size": 32, "num_classes": 10}
TINY = (
    PaperRow("tiny_static_dnw", _TINY | {"rule": "top_k"}, "0.041", None),
    PaperRow("tiny_static_random", _TINY | {"rule": "random"}, "0.041", None),
)


def find(model: Any) -> PaperRow | None:
    """The row whose keys a `model` section of a configuration has, None if the paper has no such network."""
    for row in (*IMAGENET, *TINY):
        if all(getattr(model, key, None) == value for key, value in row.model.items()):
            return row
    return None
