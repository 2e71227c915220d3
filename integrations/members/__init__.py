"""People of a company: members, invitations, contacts."""
