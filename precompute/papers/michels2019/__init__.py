"""Michels, Uelwer, Upschulte and Harmeling 2019: how vulnerable capsule networks are."""
