"""The fault campaign: the real program under load while everything around it fails, and the books balanced afterwards.

`world` holds what the program runs in, `front` what hands calls to it, `runner` the program's own processes, `seams` the
points at which they can be killed, `load` the people, `faults` what goes wrong, `books` the balance, `storm` the course
of it all. How to run it: docs/howto/fault-campaign.md.
"""
