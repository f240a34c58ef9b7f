"""Exports of Mirth Connect and its successors: read, assessed, converted. Nothing of them is ever run."""
