"""Certificates, keys and names, for the parts that speak TLS."""
