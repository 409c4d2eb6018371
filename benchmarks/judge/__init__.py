"""How often the judge is wrong, measured on simulated traffic: `python -m benchmarks.judge`."""
