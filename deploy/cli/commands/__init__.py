"""One file per group of commands; each has `add_to(cli)`, so that nothing is registered by being imported."""
