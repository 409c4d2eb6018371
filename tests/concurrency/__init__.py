"""Many people at one endpoint at once, each on a connection of their own."""
