"""What we believe, compared with what is stored here and with what enforcement sees."""
