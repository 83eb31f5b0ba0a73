"""Images that containers need: present, pulled, or the official reason why not."""
