"""Rewiring rules: which candidate edges are in the wiring, and which receive gradient."""

from dnw_graph.wiring.fixed import FixedTopK
from dnw_graph.wiring.random import Random
from dnw_graph.wiring.rule import Rule, StageView, make_rule, register, rule_names
from dnw_graph.wiring.selection import Threshold, highest, strongest
from dnw_graph.wiring.top_k import TopK, TopKNoUpdate

__all__ = [
    "FixedTopK",
    "Random",
    "Rule",
    "StageView",
    "Threshold",
    "TopK",
    "TopKNoUpdate",
    "highest",
    "make_rule",
    "register",
    "rule_names",
    "strongest",
]
