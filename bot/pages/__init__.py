"""The pages: the console of a shop, and the sandbox to play with.

Pages read through the app and act through use cases; what is allowed and what follows is decided there, never here.
NiceGUI is imported in this room alone, and not before somebody who may come in asks for a page: a program that nobody
looks at costs nothing for it.
"""
