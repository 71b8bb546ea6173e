"""Side-by-side timings: Capsight against the peers, and against plain loops that anyone would write."""
