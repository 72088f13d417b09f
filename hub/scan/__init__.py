"""Pictures and films on this machine, seen and judged as if a camera had shown them: `scan`."""

from hub.scan.scanning import scan
from hub.scan.sight import needs_for
from hub.scan.values import Best, Models, Places, Progress, Rules, Scanned

__all__ = ["Best", "Models", "Places", "Progress", "Rules", "Scanned", "needs_for", "scan"]
