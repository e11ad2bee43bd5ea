"""ONNX models of the dense baselines, as torch exports them."""

from __future__ import annotations

import io
import warnings

import torch
from torch import nn

# Old enough for DeepSparse 1.8, for wired networks too.
OPSET, IR_VERSION = 13, 8


def dense_onnx(model: nn.Module, batch: int) -> bytes:
    """A dense baseline, as torch exports it."""
    file, side = io.BytesIO(), int(model.image_size)  # type: ignore[arg-type]
    images = torch.randn(batch, 3, side, side)
    names = {"input_names": ["images"], "output_names": ["logits"]}
    with warnings.catch_warnings():
        # The new exporter needs one more package; the old one says that it is old.
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.onnx.export(model, (images,), file, dynamo=False, opset_version=OPSET, **names)
    return file.getvalue()
