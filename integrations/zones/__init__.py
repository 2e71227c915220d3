"""Zones: refreshing them from the vendor, what changed, and which location belongs to which."""
