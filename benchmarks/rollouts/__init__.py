"""What a tick costs."""
