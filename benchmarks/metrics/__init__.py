"""What dashboards and looks of many endpoints cost a real Prometheus: `python benchmarks/metrics/run.py`."""

import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "controlplane.settings")
django.setup()
