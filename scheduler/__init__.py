"""kube-scheduler: gives every pending pod a node.

`decision.decide` is a pure function of the node table and the pod; `queue` orders the pods that wait,
`cache` holds what is known and what is assumed, `binding` carries decisions out, `scheduler` is the loop.
"""
