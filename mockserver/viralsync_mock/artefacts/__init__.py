"""How reports are written: HTML that escapes everything, and files without keys or control characters."""
