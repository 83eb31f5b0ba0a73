"""ReplicaSet: keeps the wanted number of pods of one template running.

`ranking` says which pods go first, `plan` what to do, `controller` does it.
"""
