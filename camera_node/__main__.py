"""`python -m camera_node`."""

from camera_node.cli import main

main()
