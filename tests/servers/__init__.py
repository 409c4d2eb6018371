"""Real servers for tests: PostgreSQL and Redis from Debian's packages, each in a folder of its own."""
