"""The science: data, models, attacks, detectors and metrics. No pages, no printing, no global randomness."""

import os

# Threads that wait for each other give their core away. By default they wait busily, which gains nothing
# measurable on an idle machine, and makes two threads up to five times slower than one where anything else
# runs. It is read when torch is loaded; whoever loads that first decides.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
