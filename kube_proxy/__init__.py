"""kube-proxy: turns Services and EndpointSlices into iptables rules, so that packets find their pods.

`services` and `endpoints` read the API objects, `rules` decides (pure functions), `rule_set` finds what changed,
`iptables_backend` applies it, `proxier` is the loop around them. It must never flush or change a chain that is not its
own, and its rules stay in force when it ends.
"""
