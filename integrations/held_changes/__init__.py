"""Changes that would take away or replace too many rights at once wait for a person; see `impact` and `services`."""
