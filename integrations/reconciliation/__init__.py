"""Compares what was accepted with what is stored here and with what enforcement sees."""
