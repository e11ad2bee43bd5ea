"""Learning-rate schedules, one file each: its settings, and the rate as a function of the step.

Every file of this folder is imported here; a plugin's file registers in the same way.
"""

from importlib import import_module
from pkgutil import iter_modules

from dnw_graph.config.schedules.schedule import SCHEDULES, Schedule, register_schedule

__all__ = ["SCHEDULES", "Schedule", "register_schedule"]

for _each in iter_modules(__path__):
    import_module(f"{__name__}.{_each.name}")
