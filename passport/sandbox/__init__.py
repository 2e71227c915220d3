"""A stand-in for Passport's API, for the demo, the tests and the benchmarks.

It behaves as Passport does (docs/passport-api.md, T1 to R6: token, zones, session events, parking rights), is strict about
what it accepts, and can be told to misbehave while it runs. It is one ASGI application
(:func:`passport.sandbox.app.make_app`, Starlette), served by uvicorn as a process of its own
(``python -m passport.sandbox``) and driven without a server by the unit tests, so both test the same code.

Nothing below this package imports Django or httpx: the process has to stay small beside the rest of the demo, and
a remote that shared code with its client would share its mistakes. Imports run from the last line of this table to
the first; import-linter holds that.

==================  ==========================================================================================
module              what it decides
==================  ==========================================================================================
``problems``        how a refusal is worded (RFC 7807)
``formats``         what a time, an amount, a plate, a state or an id may look like
``call``            what a request carries: its query, form or JSON, and whom it is about
``zones``           which operators and zones exist, and which operator has authorised the partner
``events``          whether one session event is well formed
``sessions``        what an event does to its session, and which parking rights follow
``tokens``          who gets an access token and how long it lasts
``faults``          whether a request meets a fault
``traffic``         what the client did: counters, the last requests, breaches of good manners
``options``         where docs/passport-api.md assumes (P5, P7, P8, R4): which one is taken
``responses``       how an answer is sent, also one that breaks the rules of HTTP
``spoiling``        what an answer looks like once a fault has had its way with it
``intake``          what becomes of a request with events
``journal``         what survives a restart
``simulator``       all of the state, and how it is changed from outside
``api``             Passport's four resources, in the order in which Passport would look at a request
``control``         the JSON API under ``/sandbox/``
``officer``         the page that plays the officer
``switchboard``     the page on which faults are switched on by hand (``pages``: what both pages share)
``app``             which of these a request is for
``server``          uvicorn, and a connection that can be broken off
==================  ==========================================================================================
"""
