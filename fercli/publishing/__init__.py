"""Publishing models on the hub: which files, the card with the hub's metadata, and the evaluations' pages.

`push.py` puts them together. Nothing that is published shows a face or a folder of this machine.
"""
