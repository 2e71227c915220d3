"""Whether a connection delivers and whether that is proved; and telling people when it has not for too long."""
