"""A trained network, ready for use."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from torch import nn

from dnw_graph.config.datasets import DATASETS
from dnw_graph.config.schema import Config
from dnw_graph.data.decode import Unreadable
from dnw_graph.data.single_images import Preprocessing, folder_preprocessing, is_several, named, unreadable
from dnw_graph.errors import InputError
from dnw_graph.inference.compiled import compile
from dnw_graph.inference.predict import Prediction, predictions
from dnw_graph.models.network import WiredNetwork
from dnw_graph.runs.directory import run_of
from dnw_graph.runs.history import history_of
from dnw_graph.shown import Rows, Shown, counted, listed


@dataclass(repr=False, eq=False)
class Run(Shown):
    """What `load_run` found.

    config      with which it was trained
    model       the network in eval mode
    checkpoint  the directory from which it was read
    state       state.json of that checkpoint
    """

    config: Config
    model: nn.Module
    checkpoint: Path
    state: Mapping[str, Any]

    @property
    def path(self) -> Path:
        """The run directory."""
        return run_of(self.checkpoint)

    @cached_property
    def compiled(self) -> nn.Module:
        """The network that predicts: `dg.compile(run.model)`, made at first use; a dense one itself."""
        if not isinstance(self.model, WiredNetwork):
            return self.model
        return compile(self.model, self.config.model.backend)

    @cached_property
    def class_names(self) -> list[str]:
        """One per logit; numbers where the run does not know names."""
        names, count = self.state.get("class_names"), self.config.model.num_classes
        if names and len(names) != count:
            raise InputError(
                f"{self.checkpoint}: names {len(names)} classes, and the network has {count}; the checkpoint "
                "is damaged, use another one"
            )
        return list(names) if names else [str(each) for each in range(count)]

    @cached_property
    def preprocess(self) -> Preprocessing:
        """An image → what the network is given. Raises InputError where the run does not say how."""
        description = self.state.get("preprocessing")
        if description is None and DATASETS.get(self.config.data.dataset).read is None:
            # Nobody trained an imported network here, but images of folders are prepared in one way only.
            description = folder_preprocessing(self.config.model.image_size)
        if description is None:
            raise InputError(
                f"{self.checkpoint}: does not say how images are prepared, since it was not trained here; "
                "prepare them yourself and call run.compiled(images), or train it for an epoch"
            )
        return Preprocessing(description, str(self.checkpoint / "state.json"))

    @property
    def metrics(self) -> list[dict[str, Any]]:
        """The record of each epoch, as docs/training.md describes; read anew each time."""
        return history_of(self.path).records("epoch")

    def predict(self, images: Any, *, top: int | None = 5, batch_size: int = 32) -> Any:
        """The class of an image → `Prediction`; of several → a list of them, in order.

        images  an image: a path, the bytes of a file, a PIL image, a NumPy array uint8 [H, W] or [H, W, C], a
                tensor uint8 [C, H, W], or one of floats [3, S, S] that is prepared; or several: a list, an
                iterator, an array or tensor with one more dimension in front
        top     classes in a prediction; None: all
        batch_size  images that go through the network at once, and are in memory
        Raises InputError for the first image that cannot be read.
        """
        several = is_several(images)
        pairs = named(images) if several else iter([(None, images)])
        found = []
        for each in self.predict_each(pairs, top=top, batch_size=batch_size):
            if isinstance(each, Unreadable):
                raise unreadable(each)
            found.append(each)
        return found if several else found[0]

    def predict_each(
        self, images: Iterator[tuple[str | None, Any]], *, top: int | None = 5, batch_size: int = 32
    ) -> Iterator[Prediction | Unreadable]:
        """Predictions one by one, of (name, image) pairs; where an image cannot be read, why.

        As many images as one likes: no more than a batch is in memory.
        """
        return predictions(
            self.compiled, self.preprocess, self.class_names, images, top=top, batch_size=batch_size
        )

    def shown(self) -> tuple[str, Rows]:
        cfg, position = self.config, self.state.get("position") or {}
        wiring = f", rule {cfg.model.rule}" if isinstance(self.model, WiredNetwork) else ""
        rows = [
            ("checkpoint", str(self.checkpoint)),
            ("network", f"{cfg.model.network}{wiring}, {cfg.model.image_size} pixels"),
            ("data", f"{cfg.data.dataset}: {listed(self.class_names)}"),
        ]
        if position.get("epoch") is not None:
            done = f"{counted(position['epoch'], 'epoch')}, {counted(position['step'], 'step')}"
            rows.append(("trained", done))
        return f"Run {self.path}", rows
