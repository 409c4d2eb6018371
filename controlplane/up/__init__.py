"""Everything of one machine in one terminal: check the place, prepare it, hand over to the supervisor."""
