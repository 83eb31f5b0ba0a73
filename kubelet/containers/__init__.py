"""From a pod's specification to container specifications; pure functions over objects."""
