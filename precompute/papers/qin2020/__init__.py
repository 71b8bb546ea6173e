"""Qin, Frosst, Sabour, Raffel, Cottrell and Hinton 2020: detecting attacks by reconstruction."""
