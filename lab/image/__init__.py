"""What goes into the lab's images: entry points, and small programs on Python's standard library.

They are imported in an image exactly as they are here, as `lab.image`.
"""
