"""FHIR R4 (4.0.1) as plain values: what a resource may say, and how resources are sent. Pure."""
