"""Notices on the pages, emails, signed links, preferences, and the ticket's log."""
