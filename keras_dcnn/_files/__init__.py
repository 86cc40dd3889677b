"""Bytes on disk, whole or not there; one writer and one reader per format."""
