"""What a schedule is, and the registry of schedules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from pydantic import Field, model_validator

from dnw_graph.config.section import NotNegative, Section, name_in
from dnw_graph.config.yaml_text import spell
from dnw_graph.errors import InputError
from dnw_graph.registry import Registry

SCHEDULES: Registry[type[Schedule]] = Registry("schedule.name", "schedule")


class Schedule(Section):
    """Learning rate over time, evaluated at every step.

    A schedule derives from this, adds its settings as fields, and defines `after_warmup`.
    """

    name: name_in(SCHEDULES) = Field("cosine", description="shape after the warm-up")  # type: ignore[valid-type]
    warmup_epochs: NotNegative = Field(0.0, description="epochs of linear rise from 0 to optimizer.lr")

    def after_warmup(self, peak: float, epoch: float, done: float) -> float:
        """The learning rate of one step behind the warm-up.

        peak   optimizer.lr
        epoch  passes over the training images before this step, from the start of the run, warm-up included
        done   part of the steps behind the warm-up that is done before this one, in [0, 1)
        """
        raise TypeError(f"schedule {type(self).__name__} does not define after_warmup")

    def end(self) -> float:
        """The learning rate that it ends at, where that is a setting."""
        return 0.0

    @model_validator(mode="before")
    @classmethod
    def _refuse_keys_of_others(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        # Of an unknown schedule nothing but the name is wrong.
        known = cls is not Schedule
        foreign = [key for key in values if key not in cls.model_fields and key in all_keys()]
        for key in foreign:
            if known and values[key] is not None and values[key] != []:
                name = values.get("name", "cosine")
                owners = [other for other, each in SCHEDULES.entries.items() if key in each.model_fields]
                raise ValueError(
                    f"schedule.{key} {spell(values[key])} has no meaning for the {name} schedule; "
                    f"leave it out or use schedule.name {' or '.join(owners)}"
                )
        return {key: value for key, value in values.items() if key not in foreign}


ScheduleType = TypeVar("ScheduleType", bound=type[Schedule])


def register_schedule(name: str) -> Callable[[ScheduleType], ScheduleType]:
    """Class decorator: a config can then name the schedule as `schedule.name`."""

    def keep(schedule: ScheduleType) -> ScheduleType:
        if not (isinstance(schedule, type) and issubclass(schedule, Schedule)):
            raise InputError(
                f"schedule {name!r} is no class of schedules; derive it from dnw_graph.config.Schedule"
            )
        if schedule.after_warmup is Schedule.after_warmup:
            raise InputError(
                f"schedule {name!r} gives no learning rate; define after_warmup(peak, epoch, done)"
            )
        SCHEDULES.add(name, schedule, schedule)
        return schedule

    return keep


def all_keys() -> dict[str, type[Schedule]]:
    """Every key that some schedule has, with one that has it."""
    kinds: list[type[Schedule]] = [Schedule, *SCHEDULES.entries.values()]
    return {key: kind for kind in reversed(kinds) for key in kind.model_fields}
