"""Forms of the integration's pages."""
