"""Orders from a file: CSV, JSON lines or a JSON array, read piece by piece, checked, and put by until they are stored.

A file is taken whole or refused whole, with every bad line named. However long it is, only a small part of it is in
memory at any time. Storing is the use case's.
"""
