"""The pages. They read the store, call `core` for live work, and write nothing."""

import core as core  # before torch, see there
