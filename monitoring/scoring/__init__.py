"""Batch inference: a version over the tables of a folder or a bucket."""
