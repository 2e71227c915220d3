"""Pages of the integration, one module a page."""
