"""Tables in a folder or a bucket, read in chunks and written in parts: CSV, Parquet and NPZ.

`folder` and the readers bring pyarrow, some 40 MB of memory: import them where tables are read.
"""
