"""Kernels of training run on torch's own threads, and in a child process on theirs."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from dnw_graph.native import library

# Products in the parent start its threads; the child has none of them, and must not wait for them.
SCRIPT = """
import os
import torch
from dnw_graph.message_passing import EdgeIndex, find_backend
from dnw_graph.node_operation.native import NativeNodeKernels

torch.set_num_threads(3)
z = torch.randn(6, 5, 8, 8)
index = EdgeIndex.of_positions(torch.tensor([0, 5, 7]), 2, 6)

def work():
    h = z.reshape(6, -1)
    mean, variance = NativeNodeKernels().statistics(z, 6)
    (sent,) = find_backend("native").send(index, torch.ones(3), h)
    return sent.sum().item() + mean.sum().item()

expected = work()
child = os.fork()
if not child:
    os._exit(0 if work() == expected else 1)
_, status = os.waitpid(child, 0)
assert status == 0, status
assert work() == expected
tasks = len(os.listdir("/proc/self/task"))
for _ in range(20):
    (torch.randn(300, 300) @ torch.randn(300, 300)).sum()
    work()
# No threads besides torch's were started.
assert len(os.listdir("/proc/self/task")) == tasks, (tasks, os.listdir("/proc/self/task"))
print("done")
"""


@pytest.mark.skipif(bool(library.reason()), reason="no C kernels here")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_training_kernels_share_threads_with_torch_and_survive_a_fork():
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=120)
    assert done.stdout == "done\n", done.stderr
