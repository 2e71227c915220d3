"""Who did what, and what was pushed: queries, labels and pages."""
