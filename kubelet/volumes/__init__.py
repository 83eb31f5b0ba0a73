"""Pod volumes: directories on the node that containers mount."""
