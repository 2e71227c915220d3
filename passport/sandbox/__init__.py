"""A stand-in for Passport's API, for the demo, the tests and the benchmarks.

It behaves as the contract says Passport behaves (token, zones, session events, parking rights), is strict about
what it accepts, and can be told to misbehave while it runs. It runs as its own process over HTTP
(``python -m passport.sandbox``) or in memory (:class:`passport.sandbox.simulator.Simulator`).

Nothing below this package imports Django or httpx: the process has to stay small beside the rest of the demo, and
a remote that shared code with its client would share its mistakes.

==================  ==========================================================================================
module              what it decides
==================  ==========================================================================================
``formats``         what a time, an amount, a plate, a state or an id may look like
``problems``        how a refusal is worded (RFC 7807)
``events``          whether one session event is well formed
``intake``          what becomes of a request with events
``zones``           which operators and zones exist, and which operator has authorised the partner
``sessions``        what an event does to its session, and which parking rights follow
``tokens``          who gets an access token and how long it lasts
``faults``          whether a request meets a fault
``spoiling``        what an answer looks like once a fault has had its way with it
``traffic``         what the client did: counters, the last requests, breaches of good manners
``simulator``       one request in, one response out: all of the above in the order Passport would apply them
``journal``         what survives a restart
``control``         the JSON API under ``/sandbox/``
``officer``         the page that plays the officer
``switchboard``     the page on which faults are switched on by hand
``app``             which of these a request is for
``server``          HTTP/1.1 on asyncio
==================  ==========================================================================================
"""
