"""The sandbox: local stand-ins for the outside services, over real HTTP and WebSocket.

Here live servers that behave as the real ones do, strict about the same limits, with people who
can be played from code. No logic of the product belongs here, and nothing here is used in `run`.
"""
