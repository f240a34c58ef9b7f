"""Files a site writes, read with the place of every word."""
