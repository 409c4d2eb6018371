"""How often the judge is wrong, measured on simulated traffic: `python -m benchmarks.judge`."""

import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "controlplane.settings")
django.setup()
