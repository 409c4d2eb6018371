"""`slipway`, the command line for people and pipelines; speaks REST only, imports little, starts fast."""
