"""The delivery engine: from a row that is due to a result that is recorded."""
