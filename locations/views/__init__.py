"""Pages of companies, their people and their locations, one module a page."""
