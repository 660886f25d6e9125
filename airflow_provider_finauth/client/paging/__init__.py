"""Paging styles, and the guards that hold a walk to what was promised.

A style is a frozen description; ``begin(pull)`` makes the object with the state of one walk: its first
request, then the next from the last page.
"""
