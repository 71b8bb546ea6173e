"""The pages. They read the store, call `core` for live work, and write nothing."""
