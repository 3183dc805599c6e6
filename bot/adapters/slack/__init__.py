"""Slack, where staff put things right: cards out, clicks and forms in.

`blocks` builds what is shown, `poster` sends it, `receiver` takes what staff do and commits it, `translate` turns the
stored payload into this product's words, `doctor` looks at the installation. No rule of cases lives here.
"""
