"""From the engine that was there before to the bridge."""
