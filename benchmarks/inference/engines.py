"""What runs a network: ours, torch's, and the inference engines that are installed."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import platform
import subprocess
import weakref
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import dnw_graph as dg
from benchmarks.inference.networks import dense
from benchmarks.peers.masked_dense import MaskedDense
from dnw_graph.message_passing import find_backend
from dnw_graph.models.network import WiredNetwork

Run = Callable[[], Tensor]
OURS = ("native", "csr", "dgl")
MASKED, TORCH_COMPILE = "masked dense", "torch.compile"
ONNX_RUNTIME, OPENVINO, DEEPSPARSE = "ONNX Runtime", "OpenVINO", "DeepSparse"
_PACKAGES = {ONNX_RUNTIME: ("onnx", "onnxruntime"), OPENVINO: ("onnx", "openvino")}
_TOLERANCE = 1e-3


def missing(with_torch_compile: bool, deepsparse_python: str | None) -> dict[str, str]:
    """Each engine that does not run here: why not, and what to do."""
    reasons = {
        name: f"{error.name} is not installed; pip install -e '.[bench]'"
        for name, packages in _PACKAGES.items()
        for package in packages
        if (error := _import_error(package))
    }
    for name in OURS:
        if reason := find_backend(name).reason():
            reasons[name] = reason
    if not with_torch_compile:
        reasons[TORCH_COMPILE] = "not asked for; give --torch-compile"
    if not deepsparse_python:
        reasons[DEEPSPARSE] = "not asked for; give --deepsparse PYTHON, see docs/performance.md"
    elif _import_error("onnx"):
        reasons[DEEPSPARSE] = "needs onnx here; pip install -e '.[bench]'"
    return reasons


def versions(deepsparse_python: str | None) -> dict[str, str]:
    """Versions of the peers that are installed."""
    found = {"python": platform.python_version(), "torch": torch.__version__}
    for package in ("dgl", "onnx", "onnxruntime", "openvino"):
        if not _import_error(package):
            found[package] = importlib.metadata.version(package)
    if deepsparse_python:
        ask = "import importlib.metadata; print(importlib.metadata.version('deepsparse'))"
        answer = subprocess.run([deepsparse_python, "-c", ask], capture_output=True, text=True, check=True)
        found["deepsparse"] = answer.stdout.strip()
    return found


def engines(
    model: WiredNetwork,
    images: Tensor,
    threads: int,
    skip: dict[str, str],
    with_torch_compile: bool,
    deepsparse_python: str | None,
) -> dict[str, Run]:
    """Each engine's call on the images; torch's number of threads is set already."""
    runs: dict[str, Run] = {}
    for name in OURS:
        if name not in skip:
            network = dg.compile(model, name)
            runs[name] = _without_gradients(network, images)
    masked = MaskedDense(model)
    runs[MASKED] = _without_gradients(masked, images)
    if with_torch_compile:
        runs[TORCH_COMPILE] = _without_gradients(torch.compile(masked), images)
    if not {ONNX_RUNTIME, OPENVINO, DEEPSPARSE} <= skip.keys():
        from benchmarks.peers.dense_onnx import IR_VERSION, OPSET
        from dnw_graph.interchange.onnx_network import onnx_model

        made = onnx_model(model, images.shape[0], opset=OPSET, ir_version=IR_VERSION)
        proto = made.SerializeToString()
        if ONNX_RUNTIME not in skip:
            runs[ONNX_RUNTIME] = onnx_runtime(proto, images, threads)
        if OPENVINO not in skip:
            runs[OPENVINO] = openvino(proto, images, threads)
        if DEEPSPARSE not in skip and deepsparse_python:
            runs[DEEPSPARSE] = deepsparse(proto, images, threads, deepsparse_python)
    return runs


def relative_errors(runs: dict[str, Run], expected: Tensor) -> dict[str, float]:
    """Largest difference of each engine's logits, over the largest logit; an engine that errs is no peer."""
    scale = expected.abs().max()
    errors = {name: float((run() - expected).abs().max() / scale) for name, run in runs.items()}
    for name, error in errors.items():
        if not error <= _TOLERANCE:
            raise SystemExit(
                f"{name}: logits differ by {error:.1e} of the largest; at most {_TOLERANCE} wanted"
            )
    return errors


def onnx_runtime(proto: bytes, images: Tensor, threads: int) -> Run:
    """ONNX Runtime's CPU provider; its threads stop spinning when a call ends, and disturb nobody after."""
    runtime: Any = importlib.import_module("onnxruntime")
    settings = runtime.SessionOptions()
    settings.intra_op_num_threads, settings.inter_op_num_threads = threads, 1
    settings.log_severity_level = 3
    settings.add_session_config_entry("session.force_spinning_stop", "1")
    session = runtime.InferenceSession(proto, settings, providers=["CPUExecutionProvider"])
    given = {"images": images.numpy()}
    return lambda: torch.from_numpy(session.run(None, given)[0])


def openvino(proto: bytes, images: Tensor, threads: int) -> Run:
    """OpenVINO's CPU plugin in float32, for latency of one call."""
    core: Any = importlib.import_module("openvino").Core()
    settings = {
        "INFERENCE_NUM_THREADS": threads,
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "f32",
    }
    request = core.compile_model(core.read_model(proto), "CPU", settings).create_infer_request()
    given = images.numpy()
    return lambda: torch.from_numpy(request.infer([given], share_inputs=True)[0])


def deepsparse(proto: bytes, images: Tensor, threads: int, python: str) -> Run:
    """DeepSparse in a process of another Python; a call waits for its answer, some 0.05 ms."""
    with TemporaryDirectory() as folder:
        model, given, found = (Path(folder) / name for name in ("model.onnx", "images.npy", "logits.npy"))
        model.write_bytes(proto)
        np.save(given, images.numpy())
        script = Path(__file__).parents[1] / "peers" / "deepsparse_peer.py"
        # Its Python must not see our packages.
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        server = subprocess.Popen(
            [python, str(script), str(model), str(given), str(found), str(threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        _answer(server, "ready")
        logits = torch.from_numpy(np.load(found))

    def run() -> Tensor:
        assert server.stdin is not None
        server.stdin.write("\n")
        server.stdin.flush()
        _answer(server, "done")
        return logits

    weakref.finalize(run, server.kill)
    return run


def _answer(server: subprocess.Popen[str], wanted: str) -> None:
    assert server.stdout is not None
    if server.stdout.readline().strip() != wanted:
        raise SystemExit("DeepSparse ended early; see its message above, or leave --deepsparse out")


def dense_peer(name: str, images: Tensor, threads: int) -> tuple[Run, int]:
    """A dense baseline in ONNX Runtime, checked against torch, and its MACs per image."""
    model, proto = _dense(name, images.shape[0])
    run = onnx_runtime(proto, images, threads)
    with torch.no_grad():
        relative_errors({name: run}, model(images))
    return run, dg.count(model).macs


@cache
def _dense(name: str, batch: int) -> tuple[nn.Module, bytes]:
    from benchmarks.peers.dense_onnx import dense_onnx

    model = dense(name)
    return model, dense_onnx(model, batch)


def _without_gradients(network: Callable[[Tensor], Tensor], images: Tensor) -> Run:
    def run() -> Tensor:
        with torch.inference_mode():
            return network(images)

    return run


def _import_error(package: str) -> ImportError | None:
    try:
        importlib.import_module(package)
    except ImportError as error:
        return error
    return None
