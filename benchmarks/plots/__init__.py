"""Figures and tables of the pages, from stored results."""
