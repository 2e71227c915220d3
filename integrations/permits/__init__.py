"""Permits: lists, forms, proof of delivery, bulk cancellation, live look-up of rights, validity."""
