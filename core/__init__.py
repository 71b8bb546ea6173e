"""The science: data, models, attacks, detectors and metrics. No pages, no printing, no global randomness."""
