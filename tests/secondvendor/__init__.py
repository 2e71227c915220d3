"""Curbline: a second vendor, small but complete, in memory. What a vendor's folder holds: a class, texts, a guard.

It differs from Passport wherever the protocol allows it: accounts are called `CL-12345`, vehicles have no state, `a1` and
`A1` are one zone, and a session is put and deleted as a whole.
"""
