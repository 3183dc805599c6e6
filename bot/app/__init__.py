"""The composition root: settings → adapters + storage + use cases, and the loops that keep them going.

`program` is the whole product over a database, a clock and two channels; `base` opens house and database for commands
that talk to nobody; `service` opens the doors as well. No rule of the product stands here.
"""
