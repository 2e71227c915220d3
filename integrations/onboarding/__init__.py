"""From "we use this vendor" to live: the steps of a connection, who has to act next, and the words given on the way.

`steps` decides (pure, over a snapshot), `facts` takes the snapshot, `services` holds what people do, `following` what
the product does automatically. Nothing is stored that can be seen from what happened: a step's state is derived again
each time from the connection's own times, its zones, mappings, tests and ticket, so it can't disagree with them.
"""
