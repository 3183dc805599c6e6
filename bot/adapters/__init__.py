"""The edges: each adapter translates one outside system into this product's words and back.

They do not know one another.
"""
