"""One table of scenarios for our broker and client and for the libraries that do a part of the same.

``server`` is the scriptable loopback server, ``rows`` are the scenarios with the rule that judges each,
``peers`` drive each library as its documentation says, ``worker`` runs the probes of one library, and
``report`` writes the page. ``python -m benchmarks.matrix`` runs it all.
"""
