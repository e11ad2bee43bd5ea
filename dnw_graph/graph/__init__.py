"""The channel graph: levels, stages, candidate numbering, budgets, liveness, the DGL graph."""
