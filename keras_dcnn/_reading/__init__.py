"""What users pass as data, read as NumPy batches, rows and fingerprints."""
