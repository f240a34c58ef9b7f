"""The bridge: legacy hospital feeds in, governed API calls out, and nothing lost between."""

__version__ = "0.1.0"
