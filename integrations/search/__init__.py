"""Search from anywhere: one field that finds pages, companies, permits, locations, zones, trace IDs and tickets."""
