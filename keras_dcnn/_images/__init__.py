"""Image files on disk: which there are, of what class, their pixels, and how they are split.

Pillow is imported by what needs it. Nothing here holds more than it returns.
"""
