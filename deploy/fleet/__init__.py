"""Desired state in files -> real model server processes on this machine, kept that way."""
