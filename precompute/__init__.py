"""The cache: declares what takes long as steps, runs them on Dask, keeps what they make."""

import core as core  # before torch, see there
