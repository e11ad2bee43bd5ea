"""One network in DeepSparse, run by a Python of its own: see docs/performance.md.

    python deepsparse_peer.py MODEL.onnx IMAGES.npy LOGITS.npy THREADS

Writes the logits, says "ready", then runs the network once per line on standard input and answers each.
This file imports nothing of ours.
"""

from __future__ import annotations

import sys

import numpy as np
from deepsparse import Engine


def main() -> None:
    model, images_file, logits_file, threads = sys.argv[1:]
    images = [np.load(images_file)]
    # What DeepSparse prints goes to standard error.
    answers, sys.stdout = sys.stdout, sys.stderr
    engine = Engine(model=model, batch_size=images[0].shape[0], num_cores=int(threads))
    np.save(logits_file, engine.run(images)[0])
    print("ready", file=answers, flush=True)
    for _ in sys.stdin:
        engine.run(images)
        print("done", file=answers, flush=True)


if __name__ == "__main__":
    main()
