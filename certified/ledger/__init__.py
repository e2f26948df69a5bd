"""An append-only log that shows when it was changed, its commitments and its file; it knows nothing of models."""
