"""Alerts: rules, their evaluation over any metrics source, and what people do about them."""
