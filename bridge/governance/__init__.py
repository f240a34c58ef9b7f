"""Policies: what every request passes before and while it leaves, in one fixed order."""
