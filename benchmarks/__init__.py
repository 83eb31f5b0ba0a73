"""Figures, each beside a limit measured in the same run. Run one with `./skiff bench NAME`; never part of the tests."""
