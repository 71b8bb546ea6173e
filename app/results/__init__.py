"""What bundles hold, as pages use it: typed readings, counted at any threshold."""

QIN2020, MICHELS2019 = "qin2020", "michels2019"
"""Papers whose bundles pages are about, by their short names."""
