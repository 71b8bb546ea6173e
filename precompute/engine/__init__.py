"""Builds: a graph of steps run on Dask, in this process or on a cluster, and what a store has of it."""
