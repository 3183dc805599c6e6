"""The pure core of cases: states, routing, working time, ladder. No clock, no ids, no I/O, no logging."""
