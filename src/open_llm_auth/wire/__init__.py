"""Bytes to values and back, one module per dialect. Pure: standard library and msgspec only."""
