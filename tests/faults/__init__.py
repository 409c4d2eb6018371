"""What goes wrong with real servers, real clocks and real stores while a rollout walks."""
