"""The pure core of conversations: no clock, no ids, no I/O, no logging; sync and total."""
