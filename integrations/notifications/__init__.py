"""Notices on the pages, e-mail, signed links, preferences, and the ticket's log."""
