"""Side-by-side timings: Capsight against the peers, and against plain loops that anyone would write."""

import core as core  # before torch, see there
