"""Sampled predictions and their labels: taking them in, joining them, keeping them bounded."""
