"""Figures: pure functions from results to rows of a table and from rows to a chart, one a paper figure."""
