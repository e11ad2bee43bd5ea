"""What a configuration may say: its sections, their keys, units, defaults and limits.

Reading files, overrides and wording of errors: `dnw_graph.config.files`, which re-exports all of this.
"""

from __future__ import annotations

from functools import cache
from math import ceil
from typing import Annotated, Any, Literal

from pydantic import Field, create_model, model_validator

from dnw_graph.config.datasets import DATASETS
from dnw_graph.config.networks import BUDGETS, NETWORKS
from dnw_graph.config.optimizers import OPTIMIZERS, check_options
from dnw_graph.config.schedules import SCHEDULES, Schedule
from dnw_graph.config.section import Count, Fraction01, NotNegative, Positive, Section, name_in
from dnw_graph.config.settings import check_settings
from dnw_graph.shown import Rows, Shown, brief


class Model(Section):
    """The network and its wiring."""

    network: name_in(NETWORKS) = Field(  # type: ignore[valid-type]
        description="architecture, by its registered name", examples=["tiny_static"]
    )
    rule: str = Field(
        "top_k", min_length=1, description="wiring rule of a wired network, by its registered name"
    )
    rule_options: dict[str, Any] = Field(
        default_factory=dict, description="options of the rule, each by its name, for rules that have any"
    )
    width: Positive | None = Field(
        None,
        description="budget: ceil(width² · edges of the dense 1×1 layers) in each stage, exact as written",
        examples=[0.225],
    )
    edges: Count | None = Field(
        None,
        description="budget: number of edges of the whole body, for networks of one stage",
        examples=[32000],
    )
    density: Annotated[float, Field(gt=0, le=1)] | None = Field(
        None, description="budget: fraction of each stage's candidate edges", examples=[0.1]
    )
    small: bool = Field(False, description="wire the classifier too; mobilenet_v1 only")
    multiplier: Positive | None = Field(
        None,
        description="channels of a dense baseline: MobileNetV1 ×0.25 or ×0.5, ShuffleNetV2 ×0.5 or ×1.0",
        examples=[0.5],
    )
    image_size: Annotated[int, Field(ge=8)] = Field(
        description="side of the input images, in pixels", examples=[32]
    )
    num_classes: Annotated[int, Field(ge=2)] = Field(description="number of classes", examples=[10])
    weight_scale: Positive = Field(
        1.0, description="factor on the range ±1/sqrt(sources of the stage) of fresh candidate weights"
    )
    backend: str = Field(
        "auto",
        min_length=1,
        description="message-passing backend by name; auto: chosen for device, number format and density",
    )

    inplace_relu: bool = Field(
        False,
        description="clip the solver's states at 0, a side effect in 2019; tiny_continuous_time only",
    )
    options: dict[str, Any] | None = Field(
        None, description="sizes of a wired network, or settings of a plugin's"
    )

    @property
    def is_wired(self) -> bool:
        """Whether the network has a wiring (otherwise it is dense)."""
        return NETWORKS.get(self.network).is_wired

    def meaningless(self) -> dict[str, str]:
        reads = NETWORKS.get(self.network).reads
        if self.is_wired:
            unread = f"has no meaning for the wired network {self.network}; leave it out"
            unused = dict.fromkeys(("rule_options", "weight_scale", "backend"), unread)
            unused["multiplier"] = f"{unread} and set a budget"
        else:
            wired = f"has no meaning for the dense network {self.network}, which has no wiring; leave it out"
            unused = dict.fromkeys(("rule", "rule_options", "small", "weight_scale", "backend"), wired)
            budget = f"has no meaning for the dense network {self.network}; leave it out"
            unused["multiplier"] = budget
            multiplier = " and set model.multiplier" if "multiplier" in reads else ""
            unused |= dict.fromkeys(BUDGETS, f"{budget}{multiplier}")
        unused["inplace_relu"] = f"has no meaning for {self.network}, which has no solver; leave it out"
        if NETWORKS.get(self.network).options is None:
            unused["options"] = f"has no meaning for {self.network}, which has none; leave it out"
        return {key: reason for key, reason in unused.items() if key not in reads}

    @model_validator(mode="after")
    def _combination(self) -> Model:
        network = NETWORKS.get(self.network)
        if network.options is not None:
            check_settings(network.options, self.options or {}, "model.options", f"network {self.network}")
        if not self.is_wired:
            if self.multiplier is None and "multiplier" in network.reads:
                raise ValueError(
                    f"model.multiplier is missing; the dense network {self.network} needs one, such as 0.5"
                )
            return self
        self._check_budget(network.budgets)
        if self.small and "small" not in network.reads:
            others = [name for name, each in NETWORKS.entries.items() if "small" in each.reads]
            raise ValueError(
                f"model.small true is for {', '.join(others)} only; leave it out for {self.network}"
            )
        if self.small and self.width is None:
            (given,) = [key for key in BUDGETS if getattr(self, key) is not None]
            raise ValueError(
                f"model.{given} {getattr(self, given)} gives no budget for the wired classifier "
                "of model.small; use model.width instead"
            )
        return self

    def _check_budget(self, usable: list[str]) -> None:
        """Exactly one of the keys that the network can use is given; no other is."""
        given = [key for key in BUDGETS if getattr(self, key) is not None]
        if not given and usable:
            raise ValueError(
                f"model.{usable[0]} is missing; the wired network {self.network} needs one budget: "
                f"{' or '.join(usable)}"
            )
        if len(given) > 1:
            both = " and ".join(f"model.{key} {getattr(self, key)}" for key in given)
            raise ValueError(f"{both} are two budgets; keep one and leave out the other (or set it to null)")
        if given and given[0] not in usable:
            others = [name for name, each in NETWORKS.entries.items() if given[0] in each.reads]
            instead = " or ".join(f"model.{key}" for key in usable)
            fix = f"give {self.network} {instead} instead" if usable else f"leave it out for {self.network}"
            raise ValueError(f"model.{given[0]} {getattr(self, given[0])} is for {', '.join(others)}; {fix}")


class Data(Section):
    """The images."""

    dataset: name_in(DATASETS) = Field(  # type: ignore[valid-type]
        description="data set, by its registered name; image_folder: any directory with one folder per "
        "class, or with train/, val/, test/ and one per class in each",
        examples=["cifar10"],
    )
    directory: str | None = Field(
        None, min_length=1, description="where the files are; digits come with scikit-learn and need none"
    )
    validation: Fraction01 | None = Field(
        None,
        description="share of the training images that is kept apart to choose the best checkpoint; none: a "
        "tenth, or none where there is val/; 0: nothing chooses, and the last checkpoint counts",
        examples=[0.1],
    )
    test: Fraction01 | None = Field(
        None,
        description="share of a folder's images that is kept for the test; none: a tenth, where there is "
        "neither val/ nor test/; image_folder only",
        examples=[0.2],
    )
    augment: bool = Field(True, description="augment training images at random: crop and flip")
    crop: Annotated[float, Field(gt=0, le=1)] = Field(
        0.08, description="smallest share of an image's area that a random crop shows; folders of images only"
    )
    flip: bool = Field(
        True, description="mirror half of the training images left to right; folders of images only"
    )
    fit: Literal["resize", "pad"] = Field(
        "resize", description="how smaller images reach model.image_size; sets that live in memory only"
    )
    workers: Annotated[int, Field(ge=0)] | None = Field(
        None,
        description="processes per rank that decode images; none: one per CPU, at most 4; folders of images "
        "only",
        examples=[4],
    )

    options: dict[str, Any] | None = Field(None, description="settings of a plugin's data set")

    def meaningless(self) -> dict[str, str]:
        dataset = DATASETS.get(self.dataset)
        if dataset.read is not None:
            in_memory = f"has no meaning for {self.dataset}, which lives in memory; leave it out"
            unused = dict.fromkeys(("workers", "crop", "flip"), in_memory)
            unused["test"] = f"has no meaning for {self.dataset}, which has test images; leave it out"
        else:
            cropped = f"has no meaning for {self.dataset}, whose images are cropped to size; leave it out"
            unused = {"fit": cropped}
            if not self.augment:
                same = "has no meaning with data.augment false; leave it out"
                unused |= {"crop": same, "flip": same}
            if not dataset.has_test:
                unused["test"] = f"has no meaning for {self.dataset}, whose val/ is judged by; leave it out"
        if dataset.options is None:
            unused["options"] = f"has no meaning for {self.dataset}, which has none; leave it out"
        return unused

    @model_validator(mode="after")
    def _combination(self) -> Data:
        if (kind := DATASETS.get(self.dataset).options) is not None:
            check_settings(kind, self.options or {}, "data.options", f"data set {self.dataset}")
        return self


class Optimizer(Section):
    """How a gradient changes the weights."""

    name: name_in(OPTIMIZERS) = Field("sgd", description="optimiser")  # type: ignore[valid-type]
    lr: Positive = Field(
        0.1, description="peak learning rate, for the whole batch of training.batch_size", examples=[0.1]
    )
    momentum: Fraction01 = Field(0.9, description="momentum; sgd only")
    weight_decay: NotNegative = Field(1e-4, description="decay of every parameter, per step")
    nesterov: bool = Field(False, description="Nesterov's form of momentum; sgd only")
    unselected_weight_decay: NotNegative | None = Field(
        None,
        description="weight decay of candidate edges outside the wiring; none: optimizer.weight_decay",
        examples=[0.0],
    )
    options: dict[str, Any] | None = Field(
        None, description="what else the optimiser takes", examples=["{betas: [0.9, 0.99]}"]
    )

    def arguments(self) -> dict[str, Any]:
        """What the optimiser is called with besides parameters, weight decay and options."""
        more = {"momentum": self.momentum, "nesterov": self.nesterov} if self.name == "sgd" else {}
        return {"lr": self.lr} | more

    def meaningless(self) -> dict[str, str]:
        if self.name == "sgd":
            return {}
        other = f"has no meaning for {self.name}; leave it out, or set it to null, and use optimizer.options"
        return {"momentum": other, "nesterov": other}

    @model_validator(mode="after")
    def _combination(self) -> Optimizer:
        if self.name == "sgd" and self.nesterov and self.momentum == 0:
            raise ValueError(
                "optimizer.nesterov true needs momentum; set optimizer.momentum, for example 0.9"
            )
        if self.name != "sgd" and "lr" not in self.model_fields_set:
            raise ValueError(f"optimizer.lr is missing; {self.name} needs one, such as 0.001")
        options = self.options or {}
        check_options(self.name, self.arguments(), options)
        is_l2 = OPTIMIZERS.get(self.name).l2 and not options.get("decoupled_weight_decay", False)
        if self.unselected_weight_decay is not None and not is_l2:
            raise ValueError(
                f"optimizer.unselected_weight_decay {self.unselected_weight_decay:g} needs a weight decay "
                f"that is added to the gradient, which that of {self.name} is not; leave it out, or use sgd "
                "or adam"
            )
        return self


class Gradient(Section):
    """Straight-through gradient of the candidate edges outside the wiring."""

    every: Count = Field(
        1, description="optimiser steps between two of their gradients, which then count so many times"
    )
    sample: Annotated[float, Field(gt=0, le=1)] = Field(
        1.0, description="fraction of the images that give them gradient, scaled up to all"
    )


class Training(Section):
    """The run."""

    epochs: Count = Field(description="passes over the training images", examples=[160])
    batch_size: Count = Field(
        description="images per optimiser step, over all ranks and accumulated parts", examples=[128]
    )
    eval_batch_size: Count | None = Field(
        None, description="images per evaluation batch and rank; none: as in training", examples=[256]
    )
    accumulate: Count = Field(1, description="parts into which a batch is cut to save memory")
    label_smoothing: Fraction01 = Field(0.0, description="probability mass spread over all classes")
    ema_decay: Annotated[float, Field(gt=0, lt=1)] | None = Field(
        None, description="decay per step of the averaged weights; none: no average", examples=[0.999]
    )
    precision: Literal["float32", "bf16", "fp16"] = Field("float32", description="number format of autocast")
    seed: Annotated[int, Field(ge=0, lt=2**32)] = Field(0, description="seed of everything random")
    sync_norm: bool = Field(False, description="batch statistics over all ranks instead of per rank")
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="where to compute; auto: cuda if present"
    )
    threads: Count | None = Field(
        None, description="CPU threads per rank; none: torch's choice", examples=[2]
    )

    @model_validator(mode="after")
    def _combination(self) -> Training:
        if self.batch_size % self.accumulate:
            raise ValueError(
                f"training.batch_size {self.batch_size} cannot be cut into training.accumulate "
                f"{self.accumulate} equal parts; make it a multiple of {self.accumulate}"
            )
        return self


class Checkpoint(Section):
    """What is saved when; the end of every epoch always is."""

    every_steps: Count | None = Field(
        None, description="also save after so many optimiser steps; none: only after epochs", examples=[1000]
    )
    keep: Annotated[int, Field(ge=0, le=1000)] = Field(
        1, description="checkpoints kept behind the last one, to go on from where that is damaged"
    )


class Logging(Section):
    """What is recorded; metrics.jsonl always is."""

    tensorboard: bool = Field(True, description="write TensorBoard events, where TensorBoard is installed")
    every_steps: Count = Field(50, description="optimiser steps between two records of the training loss")


class Config(Shown, Section):
    """A whole configuration: one file under `configs/`, or the resolved `config.yaml` of a run."""

    model: Model
    data: Data
    optimizer: Optimizer = Field(default_factory=lambda: Optimizer.model_validate({}))
    gradient: Gradient = Field(default_factory=lambda: Gradient.model_validate({}))
    schedule: Schedule = Field(default_factory=lambda: SCHEDULES.get("cosine")())
    training: Training
    checkpoint: Checkpoint = Field(default_factory=lambda: Checkpoint.model_validate({}))
    logging: Logging = Field(default_factory=lambda: Logging.model_validate({}))

    def shown(self) -> tuple[str, Rows]:
        """What is not as by default, section by section; `to_yaml` has all."""
        said = self.model_dump(mode="json", exclude_defaults=True, exclude_none=True)
        rows = [(section, brief(values)) for section, values in said.items() if values]
        return f"Config: {self.model.network} on {self.data.dataset}", rows

    @model_validator(mode="after")
    def _combination(self) -> Config:
        classes = DATASETS.get(self.data.dataset).classes or self.model.num_classes
        if self.model.num_classes != classes:
            raise ValueError(
                f"model.num_classes {self.model.num_classes} does not fit data.dataset {self.data.dataset}; "
                f"use {classes}"
            )
        if self.schedule.warmup_epochs >= self.training.epochs:
            raise ValueError(
                f"schedule.warmup_epochs {self.schedule.warmup_epochs:g} leaves nothing of training.epochs "
                f"{self.training.epochs}; use fewer"
            )
        if self.schedule.end() > self.optimizer.lr:
            raise ValueError(
                f"schedule.final_lr {self.schedule.end():g} is above optimizer.lr {self.optimizer.lr:g}; "
                "use a smaller one, such as 0"
            )
        if self.optimizer.unselected_weight_decay is not None and not self.model.is_wired:
            raise ValueError(
                f"optimizer.unselected_weight_decay {self.optimizer.unselected_weight_decay:g} has no "
                f"meaning for the dense network {self.model.network}; leave it out"
            )
        if not self.model.is_wired and (self.gradient.every > 1 or self.gradient.sample < 1):
            key = "every" if self.gradient.every > 1 else "sample"
            raise ValueError(
                f"gradient.{key} {getattr(self.gradient, key)} has no meaning for the dense network "
                f"{self.model.network}, which has no wiring; leave it out"
            )
        images = self.training.batch_size // self.training.accumulate
        if self.gradient.sample * images < 1:
            raise ValueError(
                f"gradient.sample {self.gradient.sample:g} of the {images} images that are seen at once is "
                f"less than one; use at least {ceil(1e4 / images) / 1e4:g}"
            )
        return self


@cache
def config_with(schedule: type[Schedule]) -> type[Config]:
    """`Config` with the keys of one schedule."""
    default = Field(default_factory=lambda: SCHEDULES.get("cosine")())
    return create_model("Config", __base__=Config, schedule=(schedule, default))
