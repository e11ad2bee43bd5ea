"""TensorBoard shows the wiring after every epoch, also after a stop: a picture, densities, new edges."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from dnw_graph.graph.layout import chain_of_stages
from dnw_graph.runs.history import history_of
from dnw_graph.training import train
from dnw_graph.training.wiring_log import DPI, HEIGHT, WIDTH, WiringLog


class Recorder:
    """What a SummaryWriter would have been told."""

    def __init__(self):
        self.scalars, self.images = {}, {}

    def add_scalar(self, tag, value, step):
        self.scalars[tag, step] = value

    def add_image(self, tag, pixels, step, dataformats):
        assert dataformats == "HWC"
        self.images[tag, step] = pixels


@pytest.fixture
def layout():
    """Levels of 2 | 2, 2 | 3 nodes, 12 and 6 candidates."""
    return chain_of_stages(((2, 2, 1, 2), (2, 3, 2, 1)))


def wiring(first, second):
    return {"stage_0": np.array(first), "stage_1": np.array(second)}


def test_nine_nodes_by_hand(layout):
    writer = Recorder()
    log = WiringLog(writer, layout)
    start, later = wiring([0, 4, 8, 11], [0, 1]), wiring([0, 4, 5, 8], [0, 1])
    log.add(start, None, 0)
    log.add(later, start, 7)
    assert writer.scalars == {
        **{
            (f"wiring_density/level_{pair}", 0): each
            for pair, each in (("0_to_1", 25), ("0_to_2", 25), ("1_to_2", 50))
        },
        **{
            (f"wiring_density/level_{pair}", 7): each
            for pair, each in (("0_to_1", 25), ("0_to_2", 50), ("1_to_2", 25))
        },
        ("wiring_density/level_2_to_3", 0): pytest.approx(100 / 3),
        ("wiring_density/level_2_to_3", 7): pytest.approx(100 / 3),
        ("wiring_new_edges/stage_0", 7): 1,
        ("wiring_new_edges/stage_1", 7): 0,
    }
    one, two = writer.images["adjacency", 0], writer.images["adjacency", 7]
    assert one.shape == (HEIGHT * DPI, WIDTH * DPI, 3)
    assert one.dtype == np.uint8
    assert (one != two).any()


def test_a_picture_is_that_of_its_own_wiring(layout):
    """Not of those that were shown before."""
    writer, again = Recorder(), Recorder()
    log = WiringLog(writer, layout)
    for step, ids in enumerate(([0, 4], [1, 2, 3], [5, 6])):
        log.add(wiring(ids, [0]), None, step)
    WiringLog(again, layout).add(wiring([5, 6], [0]), None, 2)
    np.testing.assert_array_equal(writer.images["adjacency", 2], again.images["adjacency", 2])


def test_a_run_shows_every_epoch_also_after_a_stop(tmp_path, train_small, recipe, records):
    run = train_small(tmp_path / "run", "training.epochs=1", "logging.tensorboard=true")
    train(recipe("training.epochs=2", "logging.tensorboard=true"), run, resume="auto")
    events = EventAccumulator(str(run / "tensorboard"), size_guidance={"images": 0}).Reload()
    steps = [0, *(each["step"] for each in records(run, "epoch"))]
    pictures = events.Images("adjacency")
    assert [each.step for each in pictures] == steps
    with Image.open(io.BytesIO(pictures[-1].encoded_image_string)) as picture:
        assert picture.size == (WIDTH * DPI, HEIGHT * DPI)
    assert [each.step for each in events.Scalars("wiring_density/level_0_to_1")] == steps
    history = history_of(run)
    stored = [history.wiring(epoch)["stage_0"] for epoch in range(3)]
    new = [len(np.setdiff1d(stored[epoch], stored[epoch - 1])) for epoch in (1, 2)]
    assert [(each.step, each.value) for each in events.Scalars("wiring_new_edges/stage_0")] == list(
        zip(steps[1:], new, strict=True)
    )
    shown = [each.value for each in events.Scalars("progress/epoch_swaps")]
    assert shown == [each["swaps"] for each in records(run, "epoch")]
