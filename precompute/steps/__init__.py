"""Step functions, the table of them, and what they are given: each a thin call to core."""
