"""What an operator sees: logs and metrics, without patient data."""
