"""Template tags of the integration's own pages and mails."""
