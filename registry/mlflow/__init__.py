"""The MLflow protocol: a third door, beside the pages and REST, onto the registry's services."""
