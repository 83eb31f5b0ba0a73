"""The in-tree plugins, a file each, under their official names."""
