"""The models: what finds objects and what turns pictures into vectors. See README.md here.

Importing this package is free; each model's module imports what it needs.
"""
