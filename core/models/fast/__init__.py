"""What makes the networks fast: other ways to compute a layer, which the layers choose by themselves.

Nothing here is a network, and nothing here changes what a network computes beyond rounding. `routing` and
`routing_kernel` compute `core.models.routing.dynamic_routing`; `frequency_conv` and `patch_conv` are
convolutions; `derived` keeps what a layer computes from weights at rest; `compiling` says when there is
machine code.
"""
