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


# Sizes of 1, which Triton compiles as numbers.
ONES = dict.fromkeys(("rows", "columns", "edges", "span", "length", "parts", "tiles", "groups", "images"), 1)
ONES |= dict.fromkeys(("height", "width", "out_height", "out_width", "source_split", "first_column"), 1)
ALONE = {"TWO_SOURCES": False, "TWO_TARGETS": False, "EDGES": 16, "COLUMNS": 32}
PIXEL = {"STRIDE": 1, "ROWS": 1, "WIDTH": 1}
LEAST = {
    "aggregate": (messages.weighted_rows_kernel, ALONE | {"HAS_ORDER": True, "ADD": False}, 2),
    "edge gradient": (messages.products_of_rows_kernel, {"TWO": False, "EDGES": 8, "COLUMNS": 32}, 4),
    "statistics": (maps.statistics_kernel, {"BLOCK": 1}, 4),
    "combine": (maps.combine_kernel, {"PARTS": 1}, 1),
    "node forward": (maps.forward_kernel, PIXEL, 1),
    "sums": (maps.backward_kernel, PIXEL | {"SUM": True, "WRITE": False, "THROUGH": False}, 1),
    "gradient": (maps.backward_kernel, PIXEL | {"SUM": False, "WRITE": True, "THROUGH": True}, 1),
}


def compiled(kernel, constants, warps):
    """Loads from memory, and whether tensor cores are used, in the code of one kernel."""
    names = kernel.arg_names
    signature = {name: "constexpr" if name in constants else TYPES.get(name, "i32") for name in names}
    # Sizes of rows divide by 16, and so do addresses: as on a device, where Triton looks at the numbers.
    divides = ("columns", "span", "length")
    given = [name for name in names if signature[name] != "constexpr"]
    aligned = [name for name in given if signature[name].startswith("*") or name in divides]
    attributes = {(names.index(name),): [["tt.divisibility", 16]] for name in aligned}
    source = ASTSource(fn=kernel, signature=signature, constexprs=constants, attrs=attributes)
    code = triton.compile(source, target=HOPPER, options={"num_warps": warps})
    text = code.asm["ptx"]
    assert code.asm["cubin"]
    loads = sorted(set(re.findall(r"ld\.global\.\S+", text)))
    return {"loads": loads, "tensor cores": "mma" in text, "tf32": "tf32" in text}


if __name__ == "__main__":
    found = {name: compiled(*kernel) for name, kernel in KERNELS.items()}
    for name, (kernel, constants, warps) in LEAST.items():
        ones = {each: 1 for each in kernel.arg_names if each in ONES}
        found[f"{name}, sizes of 1"] = compiled(kernel, constants | ones, warps)
    print(json.dumps(found))
