"""Filters and orders of MLflow's searches: parsed by a grammar, turned into the ORM, paged by key."""
