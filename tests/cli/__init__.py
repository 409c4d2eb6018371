"""The command line against a live server: what a pipeline meets."""
