"""The page in the browser: one HTML file with a whole wiring and, where it can be run there, its network."""

from dnw_graph.view.page import write_page

__all__ = ["write_page"]
