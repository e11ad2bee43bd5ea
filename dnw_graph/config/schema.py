"""What a configuration may say: its sections, their keys, units, defaults and limits.

Reading files, overrides and wording of errors: `dnw_graph.config.files`, which re-exports all of this.
"""

from __future__ import annotations

from math import ceil
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from dnw_graph.config.yaml_text import spell

WIRED_NETWORKS = ("tiny_static", "mobilenet_v1")
ONE_STAGE_NETWORKS = ("tiny_static",)
BUDGETS = ("width", "edges", "density")
CLASSES = {"digits": 10, "fashion_mnist": 10, "cifar10": 10, "imagenet": 1000}
IN_MEMORY = ("digits", "fashion_mnist", "cifar10")

Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Fraction01 = Annotated[float, Field(ge=0, lt=1)]
Count = Annotated[int, Field(ge=1)]


class Section(BaseModel):
    """Base of all sections: frozen, strict about types, closed to unknown keys.

    A key that has no meaning beside the others (`meaningless`) may not be given, and is not written out.
    """

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, protected_namespaces=()
    )

    def meaningless(self) -> dict[str, str]:
        """Keys without effect in this combination, each with the reason and the fix."""
        return {}

    @model_validator(mode="after")
    def _refuse_meaningless(self) -> Section:
        for key, reason in self.meaningless().items():
            value = getattr(self, key)
            if key in self.model_fields_set and value is not None and value != []:
                raise ValueError(f"{type(self).__name__.lower()}.{key} {spell(value)} {reason}")
        return self

    @model_serializer(mode="wrap")
    def _leave_out_meaningless(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        unused = self.meaningless()
        return {key: value for key, value in handler(self).items() if key not in unused}


class Model(Section):
    """The network and its wiring."""

    network: Literal["tiny_static", "mobilenet_v1", "mobilenet_v1_dense", "shufflenet_v2"] = Field(
        description="architecture; the first two are wired, the others dense baselines"
    )
    rule: str = Field(
        "top_k", min_length=1, description="wiring rule of a wired network, by its registered name"
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

    @property
    def is_wired(self) -> bool:
        """Whether the network has a wiring (otherwise it is a dense baseline)."""
        return self.network in WIRED_NETWORKS

    def meaningless(self) -> dict[str, str]:
        if self.is_wired:
            dense = f"has no meaning for the wired network {self.network}; leave it out and set a budget"
            return {"multiplier": dense}
        wired = f"has no meaning for the dense network {self.network}, which has no wiring; leave it out"
        unused = dict.fromkeys(("rule", "small", "weight_scale", "backend"), wired)
        multiplier = (
            f"has no meaning for the dense network {self.network}; leave it out and set model.multiplier"
        )
        return unused | dict.fromkeys(BUDGETS, multiplier)

    @model_validator(mode="after")
    def _combination(self) -> Model:
        if not self.is_wired:
            if self.multiplier is None:
                raise ValueError(
                    f"model.multiplier is missing; the dense network {self.network} needs one, such as 0.5"
                )
            return self
        given = [key for key in BUDGETS if getattr(self, key) is not None]
        if not given:
            raise ValueError(
                f"model.width is missing; the wired network {self.network} needs one budget: "
                "width, density, or edges (networks of one stage)"
            )
        if len(given) > 1:
            both = " and ".join(f"model.{key} {getattr(self, key)}" for key in given)
            raise ValueError(f"{both} are two budgets; keep one and leave out the other (or set it to null)")
        if self.edges is not None and self.network not in ONE_STAGE_NETWORKS:
            raise ValueError(
                f"model.edges {self.edges} is for networks of one stage ({', '.join(ONE_STAGE_NETWORKS)}); "
                f"give {self.network} model.width or model.density instead"
            )
        if self.small and self.network != "mobilenet_v1":
            raise ValueError(f"model.small true is for mobilenet_v1 only; leave it out for {self.network}")
        if self.small and self.width is None:
            raise ValueError(
                f"model.{given[0]} {getattr(self, given[0])} gives no budget for the wired classifier "
                "of model.small; use model.width instead"
            )
        return self


class Data(Section):
    """The images."""

    dataset: Literal["digits", "fashion_mnist", "cifar10", "imagenet", "image_folder"] = Field(
        description="data set; image_folder: any directory with train/ and val/, one folder per class in each"
    )
    directory: str | None = Field(
        None, min_length=1, description="where the files are; digits come with scikit-learn and need none"
    )
    augment: bool = Field(True, description="augment training images at random: crop and flip")
    fit: Literal["resize", "pad"] = Field(
        "resize", description="how smaller images reach model.image_size; sets that live in memory only"
    )
    workers: Annotated[int, Field(ge=0)] = Field(
        4, description="processes per rank that decode images; imagenet and image_folder only"
    )

    def meaningless(self) -> dict[str, str]:
        if self.dataset in IN_MEMORY:
            return {"workers": f"has no meaning for {self.dataset}, which lives in memory; leave it out"}
        return {"fit": f"has no meaning for {self.dataset}, whose images are cropped to size; leave it out"}


class Optimizer(Section):
    """Stochastic gradient descent."""

    lr: Positive = Field(0.1, description="peak learning rate, for the whole batch of training.batch_size")
    momentum: Fraction01 = Field(0.9, description="momentum")
    weight_decay: NotNegative = Field(1e-4, description="L2 penalty on every parameter, per step")
    nesterov: bool = Field(False, description="Nesterov's form of momentum")
    unselected_weight_decay: NotNegative | None = Field(
        None,
        description="weight decay of candidate edges outside the wiring; none: optimizer.weight_decay",
        examples=[0.0],
    )

    @model_validator(mode="after")
    def _combination(self) -> Optimizer:
        if self.nesterov and self.momentum == 0:
            raise ValueError(
                "optimizer.nesterov true needs momentum; set optimizer.momentum, for example 0.9"
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


class Schedule(Section):
    """Learning rate over time, evaluated at every step."""

    name: Literal["cosine", "multistep"] = Field("cosine", description="shape after the warm-up")
    milestones: list[Count] = Field(
        default_factory=list,
        description="epochs after which the rate falls; multistep only",
        examples=[[80, 120]],
    )
    gamma: Annotated[float, Field(gt=0, le=1)] = Field(
        0.1, description="factor at each milestone; multistep only"
    )
    warmup_epochs: NotNegative = Field(0.0, description="epochs of linear rise from 0 to optimizer.lr")
    final_lr: NotNegative = Field(0.0, description="learning rate at the end; cosine only")

    def meaningless(self) -> dict[str, str]:
        if self.name == "cosine":
            cosine = "has no meaning for the cosine schedule; leave it out or use schedule.name multistep"
            return {"milestones": cosine, "gamma": cosine}
        return {
            "final_lr": "has no meaning for the multistep schedule; leave it out or use schedule.name cosine"
        }

    @model_validator(mode="after")
    def _combination(self) -> Schedule:
        if self.name == "multistep":
            if not self.milestones:
                raise ValueError(
                    "schedule.milestones is missing; the multistep schedule needs epochs, such as [80, 120]"
                )
            ascending = sorted(set(self.milestones))
            if self.milestones != ascending:
                raise ValueError(f"schedule.milestones {self.milestones} do not ascend; use {ascending}")
        return self


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


class Logging(Section):
    """What is recorded; metrics.jsonl always is."""

    tensorboard: bool = Field(True, description="write TensorBoard events, where TensorBoard is installed")
    every_steps: Count = Field(50, description="optimiser steps between two records of the training loss")


class Config(Section):
    """A whole configuration: one file under `configs/`, or the resolved `config.yaml` of a run."""

    model: Model
    data: Data
    optimizer: Optimizer = Field(default_factory=lambda: Optimizer.model_validate({}))
    gradient: Gradient = Field(default_factory=lambda: Gradient.model_validate({}))
    schedule: Schedule = Field(default_factory=lambda: Schedule.model_validate({}))
    training: Training
    checkpoint: Checkpoint = Field(default_factory=lambda: Checkpoint.model_validate({}))
    logging: Logging = Field(default_factory=lambda: Logging.model_validate({}))

    @model_validator(mode="after")
    def _combination(self) -> Config:
        classes = CLASSES.get(self.data.dataset, self.model.num_classes)
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
        if self.schedule.final_lr > self.optimizer.lr:
            raise ValueError(
                f"schedule.final_lr {self.schedule.final_lr:g} is above optimizer.lr {self.optimizer.lr:g}; "
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
