"""Worlds small enough to be known exactly: distributions, divergences, and games whose training can be solved."""
