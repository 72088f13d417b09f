"""Embeddings and what is known of them, to files and back: Parquet, HDF5, FiftyOne, COCO.

Files are written whole or not at all, read and written a few thousand elements at a time, and what is imported twice
is stored once. The libraries (pyarrow, h5py) are optional and imported where they are used.
"""

from hub.exchange.files import export_file, import_file
from hub.exchange.intake import Imported
from hub.exchange.pictures import Exported, export_coco, export_fiftyone

__all__ = ["Exported", "Imported", "export_coco", "export_fiftyone", "export_file", "import_file"]
