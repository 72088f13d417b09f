"""Collecting from outside the cameras: what a client asks of a hub, in its process or over HTTP.

The client scores by itself; a hub gives it the campaigns as they stand (`state`), embeds what it has no vectors of
(`look`), and takes what was selected (`add`). `LocalCollection` is that hub, `hub.web.collection` its routes, and
`hub.client` who asks. Nothing here imports a database, a model or a web framework.
"""
