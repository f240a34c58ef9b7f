"""Contracts of APIs: OpenAPI and JSON Schema, compiled, held against what goes and comes, and compared."""
