"""Tables in a folder or a bucket, read in chunks and written in parts: CSV, Parquet and NPZ."""

from monitoring.adapters.tables.folder import Folder
from monitoring.adapters.tables.places import Places
from monitoring.adapters.tables.reading import Chunk, Columns, Cursor

__all__ = ["Chunk", "Columns", "Cursor", "Folder", "Places"]
