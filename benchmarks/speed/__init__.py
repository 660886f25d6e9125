"""How fast pulls and calls are, beside the libraries and frameworks that do the same.

One server in a process of its own answers faster than any of them asks. Each measurement is a process of its
own, and the subjects take turns round by round, so that a busy machine slows all alike.
"""
