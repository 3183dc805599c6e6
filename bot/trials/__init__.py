"""Flows tried out with time in one's hand: the real use cases over a database in memory and a clock that is moved.

`simulation` plays; `ear` and `trail` remember what was said and why; `model` and `parse` are flow tests, `trial` runs
one, `record` writes one; `coverage` tells which ways of a flow were walked; `moments` reads times as people write
them. Nothing here talks to anybody outside, reads settings, or writes to a terminal.
"""
