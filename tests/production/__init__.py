"""The production stack of `make stack`: released with, broken, backed up, lost, restored, upgraded."""
