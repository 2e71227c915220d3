"""What flows run inside the product, in a process of its own (`Stack.run`): what a function returns is what a test asserts.

None of these modules imports pytest or `tests.servers`, so that the process starts quickly.
"""
