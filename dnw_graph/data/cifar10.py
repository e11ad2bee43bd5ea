"""CIFAR-10: 50,000 and 10,000 colour images of 32×32 pixels in ten classes; see `dnw_graph.data.cifar`."""

from __future__ import annotations

from dnw_graph.data.cifar import Cifar

_NAMES = "airplane automobile bird cat deer dog frog horse ship truck"

CIFAR10 = Cifar(
    name="cifar10",
    title="CIFAR-10",
    binary="cifar-10-batches-bin",
    python="cifar-10-batches-py",
    train=tuple(f"data_batch_{number}.bin" for number in range(1, 6)),
    test=("test_batch.bin",),
    labels=1,
    reader="CIFAR10",
    class_names=tuple(_NAMES.split()),
    mean=(0.4914, 0.4822, 0.4465),
    std=(0.2470, 0.2435, 0.2616),
)

MEAN, STD = CIFAR10.mean, CIFAR10.std
read = CIFAR10.read
