"""Files that configure a server: YAML with positions, behaviour profiles."""
