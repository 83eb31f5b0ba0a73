"""Deployment: rolls ReplicaSets from one pod template to the next.

`revisions` knows which ReplicaSet is which, `scaling` decides their sizes, `status` what to tell the user,
`controller` carries it out.
"""
