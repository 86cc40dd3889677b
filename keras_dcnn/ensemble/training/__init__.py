"""Several trainings as jobs: of seeds, folds and configurations."""
