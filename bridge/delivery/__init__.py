"""Pure rules of delivery: states, outcomes, waits, lanes. No clock, no socket, no database."""
