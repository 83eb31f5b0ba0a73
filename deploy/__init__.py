"""What is shipped beside the daemons: images, and later units and add-on manifests."""
