"""What `dnw-graph COMMAND` and `tools/COMMAND.py` run; see `dnw_graph.commands.main`."""
