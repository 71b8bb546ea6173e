"""The cache: declares what takes long as steps, runs them on Dask, keeps what they make."""
