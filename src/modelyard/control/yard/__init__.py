"""The installation as one document: exported, compared, applied, rolled back."""
