"""What a vendor must offer, its errors, and how a vendor is found."""
