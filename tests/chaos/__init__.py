"""Many rollouts on PostgreSQL, Redis and real workers, while everything is killed."""
