"""Configurations: a YAML file and overrides → one frozen, checked `Config`. Needs neither torch nor dgl."""

from dnw_graph.config.files import config_from_dict, dump_config, load_config, to_yaml
from dnw_graph.config.schema import (
    Checkpoint,
    Config,
    Data,
    Gradient,
    Logging,
    Model,
    Optimizer,
    Schedule,
    Section,
    Training,
)

__all__ = [
    "Checkpoint",
    "Config",
    "Data",
    "Gradient",
    "Logging",
    "Model",
    "Optimizer",
    "Schedule",
    "Section",
    "Training",
    "config_from_dict",
    "dump_config",
    "load_config",
    "to_yaml",
]
