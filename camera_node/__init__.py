"""Serves one camera as one URL: GET /image.jpg."""
