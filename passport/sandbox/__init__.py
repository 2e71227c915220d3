"""A stand-in for Passport's API, for the demo, the tests and the benchmarks (docs/sandbox.md says how to use it).

It behaves as Passport does (docs/passport-api.md, T1 to R6: token, zones, session events, parking rights), is strict about
what it accepts, and can be told to misbehave while it runs. It is one ASGI application
(:func:`passport.sandbox.app.make_app`, Starlette), served by uvicorn as a process of its own
(``python -m passport.sandbox``) and driven without a server by the unit tests, so both test the same code.

Nothing below this package imports Django or httpx: the process has to stay small beside the rest of the demo, and
a remote that shared code with its client would share its mistakes.

A request comes through ``app`` to ``api``; ``faults`` decides what goes wrong with it, ``events`` and ``sessions`` what
happens to its events, ``answers`` what is sent back. People and tests use ``control`` and ``pages``.
"""
