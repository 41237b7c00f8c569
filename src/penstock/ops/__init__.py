"""The few numerical operations every model family is written on. Knows no models, no requests.

Two implementations have the same signatures: `torch_ops` (the readable reference) and `kernel_ops`
(native CPU kernels). A family gets one of them as an argument; `choose` picks it.
"""
