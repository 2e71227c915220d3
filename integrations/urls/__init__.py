"""The addresses of a company's integration, one module for each group of pages; all are below `/c/<company>/`."""
