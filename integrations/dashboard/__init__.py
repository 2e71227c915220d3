"""The overview of one company and of all: figures, charts, the sentence on top, hourly statistics."""
