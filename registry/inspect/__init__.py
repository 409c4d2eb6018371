"""What a file really is, found out in a process of its own.

`sandbox` (the caller's side) starts `python -m registry.inspect`, which limits itself, looks at the file by
content and prints one JSON document. Nothing here imports Django; a model that crashes the native code under
it costs one child process.
"""
