"""Weighted, sticky, mirroring HTTP gateway in front of the embedded fleet.

All its state lies in files that others write (`gateway/routes/*.json`, `fleet/status.json`), so it may
be killed and started again at any moment.
"""
