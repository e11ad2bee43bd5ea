"""Compile every Triton kernel for Hopper, which needs no GPU; print what the code does, as JSON by kernel."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[2])

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from dnw_graph.triton import maps, messages

HOPPER = GPUTarget("cuda", 90, 32)
SHORT = "*bf16"
FEATURES = dict.fromkeys(
    ("sources", "more_sources", "targets", "more_targets", "g", "more_g", "z", "h"), SHORT
)
FEATURES |= dict.fromkeys(("value", "grad_z"), SHORT)
INDICES = dict.fromkeys(("pointer", "column", "order", "row"), "*i32")
SUMS = ("mean", "rstd", "scale", "shift", "kernel", "sums", "squares", "means", "variance", "result")
TYPES = FEATURES | INDICES | dict.fromkeys(SUMS, "*fp32")
MAP = {"STRIDE": 2, "ROWS": 2, "WIDTH": 128}

# Kernel, its constants, warps.
KERNELS = {
    "aggregate": (
        messages.weighted_rows_kernel,
        {
            "TWO_SOURCES": False,
            "TWO_TARGETS": True,
            "HAS_ORDER": False,
            "ADD": True,
            "EDGES": 4,
            "COLUMNS": 512,
        },
        2,
    ),
    "transposed": (
        messages.weighted_rows_kernel,
        {
            "TWO_SOURCES": True,
            "TWO_TARGETS": False,
            "HAS_ORDER": True,
            "ADD": False,
            "EDGES": 4,
            "COLUMNS": 512,
        },
        2,
    ),
    "edge gradient": (messages.products_of_rows_kernel, {"TWO": True, "EDGES": 8, "COLUMNS": 256}, 4),
    "statistics": (maps.statistics_kernel, {"BLOCK": 2048}, 4),
    "combine": (maps.combine_kernel, {"PARTS": 64}, 1),
    "node forward": (maps.forward_kernel, MAP, 2),
    "node backward": (maps.backward_kernel, MAP | {"SUM": True, "WRITE": True, "THROUGH": True}, 2),
}


def compiled(kernel, constants, warps):
    """Loads from memory, and whether tensor cores are used, in the code of one kernel."""
    names = kernel.arg_names
    signature = {name: "constexpr" if name in constants else TYPES.get(name, "i32") for name in names}
    # Sizes of rows divide by 16, and so do addresses: as on a device, where Triton looks at the numbers.
    aligned = [
        name for name in names if signature[name].startswith("*") or name in ("columns", "span", "length")
    ]
    attributes = {(names.index(name),): [["tt.divisibility", 16]] for name in aligned}
    source = ASTSource(fn=kernel, signature=signature, constexprs=constants, attrs=attributes)
    code = triton.compile(source, target=HOPPER, options={"num_warps": warps})
    text = code.asm["ptx"]
    assert code.asm["cubin"]
    loads = sorted(set(re.findall(r"ld\.global\.\S+", text)))
    return {"loads": loads, "tensor cores": "mma" in text, "tf32": "tf32" in text}


if __name__ == "__main__":
    print(json.dumps({name: compiled(*kernel) for name, kernel in KERNELS.items()}))
