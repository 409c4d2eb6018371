"""What a request to the registry costs."""
